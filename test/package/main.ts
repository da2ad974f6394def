/** `npm run test:package`: packages are built twice, judged by lintian, and lived with on clean machines. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../support/source-files.ts'
import { Machine, suites, type Suite } from './machine.ts'
import { operatorDay } from './operator-day.ts'
import { Steps } from './steps.ts'

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string', multiple: true, default: [...suites] },
    'no-lintian': { type: 'boolean', default: false },
  },
})
const chosen = suites.filter((suite: Suite) => options.suite.includes(suite))
const needed = ['debootstrap', 'systemd-nspawn', 'dpkg-deb', 'nsenter']

/** Why this machine cannot run the test. */
function lacking(): string | undefined {
  if (process.getuid?.() !== 0) return 'containers need root'
  const missing = needed.filter((program) => spawnSync('which', [program]).status !== 0)
  return missing.length > 0
    ? `missing: ${missing.join(', ')} (Debian: debootstrap, systemd-container)`
    : undefined
}

function build(folder: string, ...rest: readonly string[]): string {
  const program = join(projectRoot, 'dist/deploy/packages/main.js')
  const quick = ['--level', '1', '--deb-only', '--out', folder]
  execFileSync(process.execPath, [program, ...quick, ...rest], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return join(folder, readdirSync(folder).toSorted().at(-1) ?? '')
}

const why = lacking()
if (why !== undefined) {
  const isRequired = process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1'
  process.stdout.write(`${isRequired ? 'FAILED' : 'skipped'}: ${why}\n`)
  process.exit(isRequired ? 1 : 0)
}

const folder = mkdtempSync(join(tmpdir(), 'overlapd-packages-'))
const all: Steps[] = []
try {
  const building = new Steps('building')
  all.push(building)
  const [first, again, second] = ['first', 'again', 'second'].map((name) => join(folder, name))
  const debs: string[] = []
  await building.run('a package', () => void debs.push(build(first ?? '')))
  await building.run('once more, byte for byte the same', () => {
    const [one, other] = [debs[0] ?? '', build(again ?? '')].map((path) => readFileSync(path))
    if (one?.equals(other ?? Buffer.alloc(0)) !== true) throw new Error('they differ')
  })
  await building.run(
    'a later version',
    () => void debs.push(build(second ?? '', '--release', '99.0.0')),
  )
  if (!options['no-lintian']) {
    await building.run('lintian finds nothing', () => {
      const { status, stdout } = spawnSync(
        'lintian',
        ['--fail-on', 'error,warning', '--allow-root', debs[0] ?? ''],
        { encoding: 'utf8' },
      )
      if (status !== 0) throw new Error(stdout)
    })
  }
  for (const suite of chosen) {
    const steps = new Steps(suite)
    all.push(steps)
    let machine: Machine | undefined
    await steps.run('a clean machine boots', async () => {
      machine = await Machine.boot(suite)
      return machine.must('systemctl --version').split('\n')[0]
    })
    if (machine === undefined) continue
    try {
      await operatorDay(machine, steps, debs[0] ?? '', debs[1] ?? '')
    } finally {
      await machine.end()
    }
  }
} finally {
  rmSync(folder, { recursive: true })
}
const [passed, failed] = [
  all.reduce((sum, each) => sum + each.passed, 0),
  all.reduce((sum, each) => sum + each.failed, 0),
]
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
