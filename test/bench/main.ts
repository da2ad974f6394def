import { readOptions } from '../support/read-options.ts'
import { benchCommand } from './bench-command.ts'
import { scenarios } from './scenarios/all.ts'

const help = `Measures overlapd on this machine: real namespaces, real guests' sockets, a constant upstream.

Usage: npm run bench -- [--quick] [--profile] [--json FILE] [--only NAME]...

  --quick      fewer requests and smaller networks: whether it works, not figures worth keeping
  --json FILE  write all rows as JSON
  --only NAME  run only this scenario; may be repeated
  --profile    sample our daemons: self time by function, in microseconds a request, and .cpuprofile files

Scenarios:
${scenarios.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}

Needs root. CPU per request is the figure to compare: user and system time of all our processes.
Side by side with Neutron's own proxy and agent: npm run bench:peer.
`

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        quick: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        json: { type: 'string' },
        only: { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', short: 'h', default: false },
      },
    },
    help,
  )
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const unknown = values.only.filter((name) => !scenarios.some((one) => one.name === name))
  if (unknown.length > 0) {
    process.stderr.write(`bench: no scenario is called "${unknown.join('", "')}"\n${help}`)
    return 2
  }
  const chosen = scenarios.filter(
    ({ name }) => values.only.length === 0 || values.only.includes(name),
  )
  const { quick, json: jsonFile, profile: isProfiled } = values
  return await benchCommand({ scenarios: chosen, quick, jsonFile, isProfiled })
}

process.exitCode = await main()
