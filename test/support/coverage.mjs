// How much of each folder in coverage-floor.json do the tests that mirror it run? A floor is a percentage of lines, and only
// rises: where a folder has come to be two points above its floor, the run fails until the floor is written anew, with
// OVERLAPD_TEST_UPDATE=1.
import { Report } from 'c8'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

const floorFile = new URL('../coverage-floor.json', import.meta.url)
const slack = 2

export class Coverage {
  #floors = JSON.parse(readFileSync(floorFile, 'utf8'))
  #folder = mkdtempSync(join(tmpdir(), 'coverage-'))

  /** What a test file needs in its environment so that what it runs is counted. */
  environmentOf(name) {
    const isMirror = Object.keys(this.#floors).some((folder) => name.startsWith(`test/${folder}/`))
    return isMirror ? { NODE_V8_COVERAGE: this.#folder } : {}
  }

  /** Prints a line per folder. @returns how many are below their floors, or far above */
  async check(print) {
    const report = new Report({
      include: Object.keys(this.#floors).map((folder) => `${folder}/**`),
      extension: ['.ts'],
      reporter: [],
      tempDirectory: this.#folder,
      resolve: '',
      omitRelative: true,
      wrapperLength: 0,
      excludeNodeModules: true,
    })
    const files = await report.getCoverageMapFromAllCoverageFiles()
    rmSync(this.#folder, { recursive: true, force: true })
    const measured = {}
    let failed = 0
    for (const [folder, floor] of Object.entries(this.#floors)) {
      const inside = files.files().filter((path) => relative('.', path).startsWith(`${folder}/`))
      const summaries = inside.map((path) => [path, files.fileCoverageFor(path).toSummary().lines])
      const total = summaries.reduce((sum, [, lines]) => sum + lines.total, 0)
      const covered = summaries.reduce((sum, [, lines]) => sum + lines.covered, 0)
      const percent = total === 0 ? 0 : Math.floor((covered * 1_000) / total) / 10
      measured[folder] = Math.max(floor, Math.floor(percent))
      const isGood = percent >= floor && percent < floor + slack
      if (!isGood) failed += 1
      print(
        `${isGood ? 'ok    ' : 'FAILED'} coverage of ${folder}/: ${percent} % of lines, floor ${floor} %`,
      )
      if (percent >= floor) continue
      for (const [path, lines] of summaries.toSorted(([, a], [, b]) => a.pct - b.pct).slice(0, 5)) {
        print(`  ${relative('.', path)}: ${lines.pct} %`)
      }
    }
    if (process.env.OVERLAPD_TEST_UPDATE === '1') {
      writeFileSync(floorFile, `${JSON.stringify(measured, null, 2)}\n`)
    }
    return failed
  }
}
