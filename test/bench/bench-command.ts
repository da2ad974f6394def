import { readFile, writeFile } from 'node:fs/promises'
import { machineFacts } from './machine.ts'
import { Profiler } from './profile/profiler.ts'
import { ratiosOf } from './ratios.ts'
import { withFigures } from './readme-figures.ts'
import { resultsText } from './results.ts'
import { rowsText } from './row-table.ts'
import { notMeasuredNote, runScenarios } from './run-scenarios.ts'
import type { Scenario } from './scenario.ts'
import { targetsText } from './targets.ts'

export interface BenchCommandOptions {
  readonly scenarios: readonly Scenario[]
  readonly quick: boolean
  readonly jsonFile: string | undefined
  /** Whether our daemons are sampled. */
  readonly isProfiled?: boolean
  /** Where the table of results is written, if at all. */
  readonly resultsFile?: string | undefined
  /** The README, whose figures are replaced; those of a quick run are not worth it. */
  readonly readmeFile?: string | undefined
}

/** Measures, prints and writes. @returns the exit code: 1 when an answer was wrong or a scenario did not run */
export async function benchCommand(options: BenchCommandOptions): Promise<number> {
  const { scenarios, quick, jsonFile, isProfiled = false, resultsFile, readmeFile } = options
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    process.stderr.write('bench: network namespaces need Linux and root\n')
    return 3
  }
  const facts = machineFacts()
  const profiler = isProfiled ? await Profiler.make() : undefined
  const rows = await runScenarios(scenarios, quick, profiler)
  const ratios = ratiosOf(rows)
  process.stdout.write(`${rowsText(rows)}\n${targetsText(rows)}\n`)
  if (profiler !== undefined) process.stdout.write(`profiles are in ${profiler.folder}\n`)
  if (jsonFile !== undefined) {
    await writeFile(jsonFile, `${JSON.stringify({ rows, ratios }, undefined, 2)}\n`)
  }
  if (resultsFile !== undefined) await writeFile(resultsFile, resultsText(rows, quick, facts))
  if (readmeFile !== undefined && !quick) {
    await writeFile(readmeFile, withFigures(await readFile(readmeFile, 'utf8'), rows))
  }
  const isBad = rows.some(
    (row) => (row.wrong ?? 0) > 0 || row.note?.startsWith(notMeasuredNote) === true,
  )
  return isBad ? 1 : 0
}
