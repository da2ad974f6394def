/** The page of results. It is made by the command alone. */
import type { MachineFact } from '../machine.ts'
import { markdownTable } from '../markdown-table.ts'
import { numberText } from '../row-table.ts'
import type { FleetRow } from './fleet-row.ts'
import type { PushFigures } from './pushes.ts'

const headings = [
  'what',
  'ports in the cloud',
  'networks on a host',
  'hosts',
  'bytes a host',
  'held bytes',
  'idle bytes/s',
  's to ready',
  'CPU s of the server',
  'MiB of the server',
  'note',
]

const explanations = `A real ovsdb-server holds a southbound database that a generator wrote: networks of 20 guests, a
metadata port and an interface of a router on each. It is a cluster of one, since a standalone server remembers no transaction
to resume from. A host is the agent's real directory with a connection of its own; hosts share one process and the
processors with the server. So compare CPU. Seconds are those of a small machine that does everything, and of whatever
else it did at the time.

"Bytes a host" are those received until every network of the host was ready. "Held" is what the process of the hosts
grew by, after a collection of garbage. While "idle" is measured, a port elsewhere in the cloud changes every half second.
In a restart the CPU leaves out what the server needs to read its file.`

function cells(row: FleetRow): string[] {
  return [
    row.name,
    String(row.portsInCloud),
    String(row.networksOnHost),
    String(row.hosts),
    numberText(row.firstCopyBytes, 0),
    numberText(row.heldBytes, 0),
    numberText(row.idleBytesPerSecond, 1),
    numberText(row.secondsToReady, 2),
    numberText(row.serverCpuSeconds, 3),
    numberText(row.serverMemoryMiB, 0),
    row.note ?? '',
  ]
}

/** The rows as a table. */
export function fleetTable(rows: readonly FleetRow[]): string {
  return markdownTable(headings, rows.map(cells))
}

const pushExplanations = `With \`neutron-rpc\` each change of a port in the cloud is delivered to each agent that listens, whatever it
serves. A real RabbitMQ delivers changes of networks that the agent never queried; the CPU of the same changes without an agent
is subtracted.`

/** Changes of ports of one host in a second: an instance made or deleted every ten minutes, and six changes for each. */
const changesOfHost = 0.01

/** What the deliveries of a cloud cost, when each host has an agent and when ten central ones serve all hosts. */
export function pushTable({ agentCpuMs, brokerCpuMs }: PushFigures): string {
  const headed = [
    'hosts',
    'changes/s',
    'agents',
    'deliveries/s',
    'cores of the broker',
    '% of a core an agent',
  ]
  const lines = [100, 1_000, 10_000].flatMap((hosts) =>
    [hosts, 10].map((agents) => {
      const changes = hosts * changesOfHost
      return [
        String(hosts),
        numberText(changes, 0),
        String(agents),
        numberText(changes * agents, 0),
        numberText((changes * agents * brokerCpuMs) / 1_000, 2),
        numberText((changes * agentCpuMs) / 10, 2),
      ]
    }),
  )
  return markdownTable(headed, lines)
}

function pushText(figures: PushFigures): string {
  const { pushes, agents, agentCpuMs, brokerCpuMs } = figures
  const measured = `Measured with ${pushes} changes and ${agents} agent: a delivery costs the agent
${numberText(agentCpuMs, 3)} ms of CPU and the broker ${numberText(brokerCpuMs, 3)} ms, so that an agent takes
${numberText(1_000 / agentCpuMs, 0)} deliveries a second for a core, and the broker ${numberText(1_000 / brokerCpuMs, 0)}.
The table takes ${changesOfHost} changes a second of each host.`
  return `${pushExplanations}\n\n${measured}\n\n${pushTable(figures)}`
}

/** The whole page. */
export function fleetPage(
  rows: readonly FleetRow[],
  pushes: PushFigures | undefined,
  { quick, earlier }: { readonly quick: boolean; readonly earlier: boolean },
  facts: readonly MachineFact[],
): string {
  const command = `npm run bench:fleet -- ${quick ? '--quick ' : ''}--results`
  return [
    '# Fleet',
    `Made by \`${command}\` on ${new Date().toISOString().slice(0, 10)}${earlier ? ', with rows of earlier runs (`--add`)' : ''}.`,
    explanations,
    '## Machine',
    markdownTable(['what', 'value'], facts),
    '## Rows',
    fleetTable(rows),
    ...(pushes === undefined ? [] : ['## Changes over RabbitMQ', pushText(pushes)]),
  ]
    .join('\n\n')
    .concat('\n')
}
