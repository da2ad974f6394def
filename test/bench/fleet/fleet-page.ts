/** The page of results. It is made by the command alone. */
import type { MachineFact } from '../machine.ts'
import { markdownTable } from '../markdown-table.ts'
import { numberText } from '../row-table.ts'
import type { CentralRow } from './central-row.ts'
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
In a restart the CPU leaves out what the server needs to read its file. "Sessions with their copies" are the directory's client and
conditions, begun from the server's last transaction; they keep no rows. What a central agent holds is measured without a server:
the rows go to its copies, and the ports are counted without those of metadata and routers, which are held too.`

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

const centralExplanations = `Two agents copy the whole cloud (\`copy: all\`), each from a relay of its own, and serve the proxies over mutual TLS. A
proxy is the real client of a worker with a certificate of its own, whose scopes the agents read from \`proxies_file\`; it
sends a request every 20 s and keeps a connection for 4 s, so each request begins with a handshake. Half of them prefer one agent, half the other. "Failed" is whatever a guest would get but 200 with
the metadata of its own instance. Compute answers at once. Connections, CPU and memory are those of the second agent; the agents,
the proxies, compute and the database share the processors.`

const centralHeadings = [
  'what',
  'ports in the cloud',
  'proxies',
  's',
  'answered',
  'failed',
  'wrong instance',
  'second agent tried',
  'slowest ms',
  'connections',
  'CPU s',
  'CPU ms a request',
  'MiB',
]

/** The rows of the tier as a table. */
export function centralTable(rows: readonly CentralRow[]): string {
  const lines = rows.map((row) => [
    row.name,
    String(row.portsInCloud),
    String(row.proxies),
    numberText(row.seconds, 0),
    String(row.answered),
    [String(row.failed), ...Object.keys(row.failures)].join(' '),
    String(row.wrong),
    String(row.failovers),
    numberText(row.slowestMs, 0),
    String(row.connectionsOfSecond),
    numberText(row.cpuSecondsOfSecond, 2),
    numberText(cpuOfRequest(row), 2),
    numberText(row.memoryMiBOfSecond, 0),
  ])
  return markdownTable(centralHeadings, lines)
}

/** Only where it is known how many requests the agent answered. */
function cpuOfRequest({ name, cpuSecondsOfSecond, answered }: CentralRow): number | null {
  const share = { 'both agents': 1 / 2, 'first agent killed': 1 }[name]
  if (share === undefined || cpuSecondsOfSecond === null) return null
  return (cpuSecondsOfSecond * 1_000) / (answered * share)
}

/** What the page is made of. */
export interface FleetFigures {
  readonly rows: readonly FleetRow[]
  readonly central: readonly CentralRow[]
  readonly pushes: PushFigures | undefined
}

/** The whole page. */
export function fleetPage(
  { rows, central, pushes }: FleetFigures,
  { command, earlier }: { readonly command: string; readonly earlier: boolean },
  facts: readonly MachineFact[],
): string {
  return [
    '# Fleet',
    `Made by \`${command}\` on ${new Date().toISOString().slice(0, 10)}${earlier ? ', with rows of earlier runs (`--add`)' : ''}.`,
    explanations,
    '## Machine',
    markdownTable(['what', 'value'], facts),
    '## Rows',
    fleetTable(rows),
    ...(central.length === 0
      ? []
      : ['## Two central agents', centralExplanations, centralTable(central)]),
    ...(pushes === undefined ? [] : ['## Changes over RabbitMQ', pushText(pushes)]),
  ]
    .join('\n\n')
    .concat('\n')
}
