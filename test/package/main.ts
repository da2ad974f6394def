/** `npm run test:package`: packages are built twice, judged by lintian, and lived with on clean machines. */
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { projectRoot } from '../support/source-files.ts'
import { archiveDay } from './archive-day.ts'
import { Machine, suites, type Suite } from './machine.ts'
import { operatorDay } from './operator-day.ts'
import { Steps } from './steps.ts'

const { values: options } = parseArgs({
  options: {
    suite: { type: 'string', multiple: true, default: [...suites] },
    // For the gate: no machine is booted, which takes minutes.
    'build-only': { type: 'boolean', default: false },
  },
})
const all: Steps[] = []
const isBuildOnly = options['build-only']
const chosen = isBuildOnly ? [] : suites.filter((suite: Suite) => options.suite.includes(suite))
const ofMachines = ['debootstrap', 'systemd-nspawn', 'nsenter']
const needed = ['dpkg-deb', 'lintian', ...(isBuildOnly ? [] : ofMachines)]

/** Why this machine cannot run the test. */
function lacking(): string | undefined {
  if (process.getuid?.() !== 0) return 'containers need root'
  const missing = needed.filter((program) => spawnSync('which', [program]).status !== 0)
  return missing.length > 0
    ? `missing: ${missing.join(', ')} (Debian: debootstrap, systemd-container, lintian)`
    : undefined
}

function build(folder: string, ...rest: readonly string[]): string {
  const program = join(projectRoot, 'dist/deploy/packages/main.js')
  const quick = ['--level', '1', '--out', folder]
  execFileSync(process.execPath, [program, ...quick, ...rest], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.deb')) ?? '')
}

/** Does something with a clean machine, and ends it. */
async function onMachine(
  suite: Suite,
  title: string,
  work: (machine: Machine, steps: Steps) => Promise<void>,
): Promise<void> {
  const steps = new Steps(title)
  all.push(steps)
  const booted: Machine[] = []
  await steps.run('a clean machine boots', async () => {
    const machine = await Machine.boot(suite)
    booted.push(machine)
    return machine.must('systemctl --version').split('\n')[0]
  })
  for (const machine of booted) {
    try {
      await work(machine, steps)
    } finally {
      await machine.end()
    }
  }
}

const why = lacking()
if (why !== undefined) {
  const isRequired = process.env['OVERLAPD_TEST_REQUIRE_PRIVILEGE'] === '1'
  process.stdout.write(`${isRequired ? 'FAILED' : 'skipped'}: ${why}\n`)
  process.exit(isRequired ? 1 : 0)
}

const folder = mkdtempSync(join(tmpdir(), 'overlapd-packages-'))
try {
  const building = new Steps('building')
  all.push(building)
  const [first, again, second] = ['first', 'again', 'second'].map((name) => join(folder, name))
  const debs: string[] = []
  const onlyDeb = isBuildOnly ? ['--deb-only'] : []
  await building.run('a package', () => void debs.push(build(first ?? '', ...onlyDeb)))
  await building.run('once more, byte for byte the same', () => {
    const [one, other] = [debs[0] ?? '', build(again ?? '', '--deb-only')].map((path) =>
      readFileSync(path),
    )
    if (one?.equals(other ?? Buffer.alloc(0)) !== true) throw new Error('they differ')
  })
  if (!isBuildOnly) {
    await building.run(
      'a later version',
      () => void debs.push(build(second ?? '', '--deb-only', '--release', '99.0.0')),
    )
  }
  await building.run('lintian finds nothing', () => {
    const { status, stdout } = spawnSync(
      'lintian',
      ['--fail-on', 'error,warning', '--allow-root', debs[0] ?? ''],
      { encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(stdout)
  })
  const [deb = '', later = ''] = debs
  for (const suite of chosen) {
    await onMachine(suite, suite, async (machine, steps) => operatorDay(machine, steps, deb, later))
  }
  const archive = readdirSync(first ?? '').find((name) => name.endsWith('.tar.gz')) ?? ''
  const [suite] = chosen
  if (suite !== undefined) {
    await onMachine(suite, 'archive', async (machine, steps) =>
      archiveDay(machine, steps, join(first ?? '', archive)),
    )
  }
} finally {
  rmSync(folder, { recursive: true })
}
const [passed, failed] = [
  all.reduce((sum, each) => sum + each.passed, 0),
  all.reduce((sum, each) => sum + each.failed, 0),
]
process.stdout.write(`${passed} passed, ${failed} failed\n`)
const { OVERLAPD_TEST_COUNTS: countsFile } = process.env
if (countsFile !== undefined) appendFileSync(countsFile, `${passed} ${failed}\n`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
