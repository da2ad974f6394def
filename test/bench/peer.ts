import { join } from 'node:path'
import { readOptions } from '../support/read-options.ts'
import { projectRoot } from '../openstack/place.ts'
import { benchCommand } from './bench-command.ts'
import { reasonAgainstPackages } from './peer/peer-packages.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios/all.ts'
import { compared } from './scenarios/compared.ts'
import { comparedAttach } from './scenarios/compared-attach.ts'

const help = `Measures overlapd side by side with what Debian ships: haproxy per namespace and neutron-metadata-agent,
with a real neutron-server behind them.

Usage: npm run bench:peer -- [--quick] [--json FILE] [--results]

  --quick      fewer requests: whether it works, not figures worth keeping
  --json FILE  write all rows and ratios as JSON
  --results    measure everything else of "npm run bench" as well, and write test/bench/RESULTS.md and
               the figures of README.md

Needs Debian and root; missing packages are installed. Exits with 3 where it cannot run.
`

async function main(): Promise<number> {
  const { values } = readOptions(
    {
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        results: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    },
    help,
  )
  if (values.help) {
    process.stdout.write(help)
    return 0
  }
  const reason = reasonAgainstPackages()
  if (reason !== undefined) {
    process.stderr.write(`bench: cannot compare with the peer: ${reason}\n`)
    return 3
  }
  // The warm paths are part of the comparison, and the bare proxies.
  const isCompared = ({ name }: Scenario): boolean => /^warm|^bare$/.test(name)
  const others = scenarios.filter((one) => !isCompared(one))
  return await benchCommand({
    scenarios: [compared, comparedAttach, ...(values.results ? others : [])],
    quick: values.quick,
    jsonFile: values.json,
    ...(values.results && {
      resultsFile: join(projectRoot, 'test', 'bench', 'RESULTS.md'),
      readmeFile: join(projectRoot, 'README.md'),
    }),
  })
}

process.exitCode = await main()
