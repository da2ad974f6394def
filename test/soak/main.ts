/** Lets a host run with churn for as long as wanted, and says what failed and what grew. */
import { writeFileSync } from 'node:fs'
import { readOptions } from '../support/read-options.ts'
import { SeededRandom } from '../support/random.ts'
import { TeardownList } from '../support/teardowns.ts'
import { Soak } from './soak.ts'
import { hasHeld, soakText } from './soak-report.ts'

const help = `Runs overlapd on this machine with churn, and reports what failed and what grew.

Usage: npm run test:soak -- [--minutes N] [--seed S] [--namespaces K] [--forwarding agent|direct] [--json FILE]

  --minutes N     how long (default 10); growth shows in 10 minutes and more
  --seed S        repeats a run; a new one is drawn and printed otherwise
  --namespaces K  routers with a guest each (default 60)
  --forwarding    agent (default): everything goes to the agent; direct: under leases straight to compute
  --json FILE     write the report as JSON

Guests ask steadily while namespaces are deleted and made again, ports change hands, both daemons get SIGHUP, and, in the last part,
workers are killed and both daemons restarted in every way. Each failed request is matched with what was done to it. Memory,
descriptors, sockets, threads and rules are sampled every 10 s; the slope is that of least squares, with its standard error.

Needs root, Linux, and the build (npm makes it). Exit code 1 when a request failed without such a cause, when something grew beyond
noise, or when somebody got what is not theirs.
`

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string' },
        namespaces: { type: 'string', default: '60' },
        forwarding: { type: 'string', default: 'agent' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    },
    help,
  )
  const minutes = Number(values.minutes)
  const namespaces = Number(values.namespaces)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  const { forwarding } = values
  const isWay = forwarding === 'agent' || forwarding === 'direct'
  const isUsable = minutes > 0 && Number.isInteger(seed) && namespaces >= 1 && namespaces <= 200
  if (values.help || !isUsable || !isWay) {
    process[values.help ? 'stdout' : 'stderr'].write(help)
    return values.help ? 0 : 2
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    process.stderr.write('soak: network namespaces need Linux and root\n')
    return 3
  }
  process.env['OVERLAPD_TEST_FORWARDING'] = forwarding
  process.stdout.write(`seed ${seed}\n`)
  const teardowns = new TeardownList()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void teardowns.run().finally(() => process.exit(130)))
  }
  try {
    const report = await Soak.run(teardowns, {
      random: new SeededRandom(seed),
      namespaces,
      minutes,
      forwarding,
      onSample: ({ requests, wrong, failures }) =>
        void process.stdout.write(
          `  ${requests} requests, ${wrong} wrong, ${failures} failed without a cause\n`,
        ),
    })
    const { result } = report
    process.stdout.write(`\n${soakText(result, seed)}`)
    if (values.json !== undefined) {
      const whole = { seed, minutes, namespaces, forwarding, ...result }
      writeFileSync(values.json, `${JSON.stringify(whole, undefined, 2)}\n`)
    }
    return hasHeld(result) ? 0 : 1
  } finally {
    await teardowns.run()
  }
}

process.exitCode = await main()
// A daemon that was just killed may leave a socket to it open.
process.exit()
