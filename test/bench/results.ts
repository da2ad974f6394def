import type { MachineFact } from './machine.ts'
import { markdownTable } from './markdown-table.ts'
import { ratiosOf } from './ratios.ts'
import type { BenchRow } from './row.ts'
import { rowsMarkdown } from './row-table.ts'
import { targetsMarkdown } from './targets.ts'

const explanations = `The peer is what Debian ships: one haproxy per namespace with the configuration that Neutron's own code
writes, Neutron's metadata agent with two workers, and behind it a real neutron-server with RabbitMQ and MariaDB. It is
measured with its defaults (\`peer\`) and with its cache on (\`peer-cache\`). Ours queries the same neutron-server over its HTTP
API. Loads of all sides run one after the other in the same run, in turn. \`haproxy-tuned\` is no metadata service: one
haproxy for all namespaces, with \`defer-accept\`, that has the identities in files and keeps its connections to compute.
Nor is \`node-bare\`: a hundred lines on Node's sockets in one process.

\`compute\` is the constant upstream behind a side. One that \`closes\` ends each connection after its answer and sends no length,
as Debian's Nova under uWSGI does. One that \`keeps\` sends a length and keeps connections, as Nova's own server does. Rows
\`crawl\` have a real Nova under uWSGI.

CPU is user and system time of all processes of a side, load and upstream left out. What neutron-server, Nova, RabbitMQ and MariaDB
spent meanwhile stands beside it, and is in no sum. Load, both sides and upstreams share the processors, so
requests/s are those of a whole small machine; CPU a request is the figure to compare. \`wrong\` counts answers with
somebody else's data.

That addresses which are used again give no wrong answer is shown by a test that reuses them 10,000 times:
\`test/behaviour/stale-after-port-reuse.test.ts\`.`

/** The page of results. It is made by the command alone. */
export function resultsText(
  rows: readonly BenchRow[],
  quick: boolean,
  facts: readonly MachineFact[],
): string {
  const ratios = Object.entries(ratiosOf(rows)).map(([name, value]) => [
    name,
    value.toFixed(value < 10 ? 2 : 0),
  ])
  return [
    '# Results',
    `Made by \`npm run bench:peer -- --results\` on ${new Date().toISOString().slice(0, 10)}.`,
    ...(quick ? ['**A quick run: small counts, figures not worth keeping.**'] : []),
    explanations,
    '## Machine',
    markdownTable(['what', 'value'], facts),
    '## Targets',
    targetsMarkdown(rows),
    '## Ratios',
    'How many times as many requests a second, and how many times less CPU a request. Above 1 is in our favour.',
    markdownTable(['ratio', 'value'], ratios),
    '## All rows',
    rowsMarkdown(rows),
  ]
    .join('\n\n')
    .concat('\n')
}
