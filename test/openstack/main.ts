/** Runs the tests that need a real OpenStack: brings one up, tests, prints what came out, and takes it down again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readOptions } from '../support/read-options.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { bringUp, tearDown } from './openstack.ts'
import { ownedBy } from './owner.ts'
import { installPackages } from './packages.ts'
import { makePlace, projectRoot, type Place } from './place.ts'
import { clearResults, resultsText } from './results.ts'

const help = `Tests overlapd with the real Keystone, Neutron, RabbitMQ, Nova, OVN, haproxy and cloud-init of Debian.

Usage: npm run test:openstack -- [install | up | test | down] [FILE]...

  (nothing)  bring OpenStack up, run the tests, print the tables, take it down
  install    install the missing packages and do nothing else
  up         bring it up and leave it running
  test       run the tests, or those of FILE, in the one that runs
  down       take it down

With up, test and down the environment variable OVERLAPD_OPENSTACK_DIR names the folder that everything lives in.
Needs Debian 12 and root; missing packages are installed. About 3 GB of memory and 1 GB of disk.
`

/** For one file, which takes half a minute to two minutes on a machine with two cores. */
const longestFile: Milliseconds = 900_000
/** For all of them, repetitions included; something hangs then. */
const longestRun: Milliseconds = 2_700_000
const started = Date.now()

function progress(text: string): void {
  const seconds = Math.round((Date.now() - started) / 1_000)
  process.stderr.write(`openstack: ${String(seconds).padStart(3)} s  ${text}\n`)
}

/** Runs test files to their end, or until they are cut off. */
class TestRun {
  readonly #place: Place
  readonly #child

  constructor(place: Place, files: readonly string[]) {
    this.#place = place
    const folder = join('test', 'openstack')
    const all = readdirSync(join(projectRoot, folder))
      .filter((name) => name.endsWith('.openstack.ts'))
      .map((name) => join(folder, name))
      .toSorted()
    clearResults(place)
    const script = join(projectRoot, 'test', 'support', 'run-tests.mjs')
    const words = ['--jobs=1', `--timeout=${longestFile / 1_000}`]
    this.#child = spawn(process.execPath, [script, ...words, ...(files.length > 0 ? files : all)], {
      cwd: projectRoot,
      stdio: 'inherit',
      // A group of its own, which can be ended as a whole.
      detached: true,
      env: { ...process.env, ...ownedBy(place), OVERLAPD_OPENSTACK_DIR: place.folder },
    })
  }

  /** Prints the tables at the end. @returns the exit code */
  async ended(): Promise<number> {
    const limit = setTimeout(() => {
      progress(`FAILED: the tests are cut off after ${longestRun / 60_000} minutes`)
      this.cutOff()
    }, longestRun)
    const [code] = (await once(this.#child, 'exit')) as [number | null]
    clearTimeout(limit)
    process.stdout.write(resultsText(this.#place))
    return code ?? 1
  }

  cutOff(): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGTERM')
    } catch {
      // They have ended.
    }
  }
}

/** Whatever happens, nothing is left behind. */
async function everything(files: readonly string[]): Promise<number> {
  let place: Place | undefined
  let tests: TestRun | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      tests?.cutOff()
      void (place === undefined ? Promise.resolve() : tearDown(place)).finally(() =>
        process.exit(1),
      )
    })
  }
  place = await bringUp(progress, (made) => (place = made))
  progress('OpenStack is up')
  try {
    tests = new TestRun(place, files)
    return await tests.ended()
  } finally {
    progress('taking OpenStack down')
    await tearDown(place)
    progress('done')
  }
}

async function main(): Promise<number> {
  const { positionals, values } = readOptions(
    {
      allowPositionals: true,
      options: { help: { type: 'boolean', short: 'h', default: false } },
    },
    help,
  )
  const [command, ...files] = positionals
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    process.stderr.write('openstack: this needs Linux and root\n')
    return 1
  }
  switch (command) {
    case 'install':
      installPackages(progress)
      return 0
    case 'up': {
      installPackages(progress)
      const { folder } = await bringUp(progress, () => undefined)
      process.stdout.write(`OVERLAPD_OPENSTACK_DIR=${folder}\n`)
      return 0
    }
    case 'test':
      return await new TestRun(await makePlace(), files).ended()
    case 'down':
      await tearDown(await makePlace())
      return 0
    case undefined:
      installPackages(progress)
      return await everything(files)
    default:
      process.stderr.write(help)
      return 2
  }
}

try {
  process.exitCode = await main()
} catch (cause) {
  process.stderr.write(`openstack: FAILED: ${errorText(cause)}\n`)
  process.exitCode = 1
}

/** With its causes, without the stacks, which say nothing of a service that did not start. */
function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, cause } = error
  return cause === undefined ? message : `${message}\n${errorText(cause)}`
}
