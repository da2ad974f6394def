/** Runs the tests that need a real OpenStack: brings one up, tests, prints what came out, and takes it down again. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bringUp, tearDown } from './openstack.ts'
import { makePlace, projectRoot, type Place } from './place.ts'
import { clearResults, resultsText } from './results.ts'

const help = `Tests overlapd with the real Keystone, Neutron, RabbitMQ, Nova, OVN, haproxy and cloud-init of Debian.

Usage: npm run test:openstack -- [up | test | down] [FILE]...

  (nothing)  bring OpenStack up, run the tests, print the tables, take it down
  up         bring it up and leave it running
  test       run the tests, or those of FILE, in the one that runs
  down       take it down

With up, test and down the environment variable OVERLAPD_OPENSTACK_DIR names the folder that everything lives in.
Needs Debian 12 and root; missing packages are installed. About 4 GB of memory and 2 GB of disk.
`

const started = Date.now()

function progress(text: string): void {
  const seconds = Math.round((Date.now() - started) / 1_000)
  process.stderr.write(`openstack: ${String(seconds).padStart(3)} s  ${text}\n`)
}

async function runTests(place: Place, files: readonly string[]): Promise<number> {
  const folder = join('test', 'openstack')
  const all = readdirSync(join(projectRoot, folder))
    .filter((name) => name.endsWith('.openstack.ts'))
    .map((name) => join(folder, name))
    .toSorted()
  clearResults(place)
  const words = ['--jobs=1', '--timeout=600', ...(files.length > 0 ? files : all)]
  const child = spawn(
    process.execPath,
    [join(projectRoot, 'test', 'support', 'run-tests.mjs'), ...words],
    {
      cwd: projectRoot,
      stdio: 'inherit',
      env: { ...process.env, OVERLAPD_OPENSTACK_DIR: place.folder },
    },
  )
  const [code] = (await once(child, 'exit')) as [number | null]
  process.stdout.write(resultsText(place))
  return code ?? 1
}

async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  })
  const [command, ...files] = positionals
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  if (command !== undefined && !['up', 'test', 'down'].includes(command)) {
    process.stderr.write(help)
    return 2
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    process.stderr.write('openstack: this needs Linux and root\n')
    return 1
  }
  if (command === 'test') return await runTests(await makePlace(), files)
  if (command === 'down') {
    await tearDown(await makePlace())
    return 0
  }
  const place = await bringUp(progress)
  progress('OpenStack is up')
  if (command === 'up') {
    process.stdout.write(`OVERLAPD_OPENSTACK_DIR=${place.folder}\n`)
    return 0
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void tearDown(place).finally(() => process.exit(1)))
  }
  try {
    return await runTests(place, files)
  } finally {
    progress('taking OpenStack down')
    await tearDown(place)
    progress('done')
  }
}

process.exitCode = await main()
