/** What does one fleet cost? Each function measures one row. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Cloud } from './cloud-rows.ts'
import { guestRowOf } from './cloud-rows.ts'
import { fleetRow, type FleetRow } from './fleet-row.ts'
import { HostSession, when } from './host-session.ts'
import { lastTransaction, LightSession } from './light-session.ts'
import type { SouthboundServer } from './southbound-servers.ts'

/** What a fleet runs against. */
export interface Fleet {
  readonly cloud: Cloud
  readonly server: SouthboundServer
  readonly networksOnHost: number
}

const longest = 1_500
const idleSeconds = 20

/** Spread over the cloud, others for each host. */
export function networksOf({ cloud, networksOnHost }: Fleet, host: number): readonly number[] {
  const step = Math.max(1, Math.floor(cloud.networks / networksOnHost) - 1)
  return Array.from(
    { length: networksOnHost },
    (_, place) => (host + place * step) % cloud.networks,
  )
}

/** Guests of a cloud. */
export function portsIn({ networks, portsPerNetwork }: Cloud): number {
  return networks * portsPerNetwork
}

function given(fleet: Fleet, name: string, hosts: number): Parameters<typeof fleetRow>[0] {
  const { cloud, networksOnHost } = fleet
  return { name, portsInCloud: portsIn(cloud), networksOnHost, hosts }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
}

/** By this process, without garbage. */
export function heldBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** One host by itself: its first copy, and a quiet minute while ports elsewhere change. */
export async function measureHost(fleet: Fleet, copy: 'served' | 'all'): Promise<FleetRow> {
  const { server } = fleet
  const before = heldBytes()
  const cpu = server.cpuSeconds
  const host = new HostSession(copy, server.endpoint, networksOf(fleet, 0))
  const began = performance.now()
  await host.start()
  await when(() => host.isReady, longest)
  const secondsToReady = (performance.now() - began) / 1_000
  const firstCopyBytes = host.bytesReceived
  const serverCpuSeconds = server.cpuSeconds - cpu
  const held = heldBytes() - before
  const quiet = host.bytesReceived
  const end = performance.now() + idleSeconds * 1_000
  const elsewhere = networksOf(fleet, 1)
  for (let change = 0; performance.now() < end; change += 1) {
    await touchPort(server, elsewhere[change % elsewhere.length] ?? 1)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  const idleBytesPerSecond = (host.bytesReceived - quiet) / idleSeconds
  await host.close()
  return fleetRow({
    ...given(fleet, `one host, copy ${copy}`, 1),
    firstCopyBytes,
    heldBytes: held,
    idleBytesPerSecond,
    secondsToReady,
    serverCpuSeconds,
    serverMemoryMiB: server.memoryMiB,
  })
}

async function touchPort(server: SouthboundServer, network: number): Promise<void> {
  const where = [['_uuid', '==', ['uuid', guestRowOf(network, 0)]]]
  const mutations = [
    ['external_ids', 'delete', ['set', ['neutron:revision_number']]],
    ['external_ids', 'insert', ['map', [['neutron:revision_number', String(Date.now())]]]],
  ]
  await server.transact({ op: 'mutate', table: 'Port_Binding', where, mutations })
}

/** A network that is new on a host: from the report of its namespace to its first guest. */
export async function measureNewNetwork(fleet: Fleet): Promise<FleetRow> {
  const { server } = fleet
  const host = new HostSession('served', server.endpoint, networksOf(fleet, 0))
  await host.start()
  await when(() => host.isReady, longest)
  const fresh = networksOf(fleet, 3)[5] ?? 0
  const [cpu, bytes, began] = [server.cpuSeconds, host.bytesReceived, performance.now()]
  host.serveAlso(fresh)
  await when(() => host.finds(fresh), longest)
  const row = fleetRow({
    ...given(fleet, 'a network more on a host', 1),
    secondsToReady: (performance.now() - began) / 1_000,
    firstCopyBytes: host.bytesReceived - bytes,
    serverCpuSeconds: server.cpuSeconds - cpu,
  })
  await host.close()
  return row
}

/** Many hosts: all start at once, and then the server restarts under them. */
export async function measureHosts(
  fleet: Fleet,
  count: number,
  name: string,
): Promise<readonly FleetRow[]> {
  const { server } = fleet
  const hosts = Array.from(
    { length: count },
    (_, host) => new HostSession('served', server.endpoint, networksOf(fleet, host)),
  )
  const perHost = async (
    what: string,
    begin: () => Promise<void>,
    from: () => number,
  ): Promise<FleetRow> => {
    const [cpu, bytes] = [server.cpuSeconds, sumOf(hosts)]
    await begin()
    const spentBefore = from()
    const began = performance.now()
    await when(() => hosts.every((host) => host.isReady), longest)
    return fleetRow({
      ...given(fleet, `${name}: ${what}`, count),
      secondsToReady: (performance.now() - began) / 1_000,
      firstCopyBytes: (sumOf(hosts) - bytes) / count,
      serverCpuSeconds: server.cpuSeconds - cpu - spentBefore,
      serverMemoryMiB: server.memoryMiB,
    })
  }
  try {
    const started = await perHost(
      'start',
      async () => {
        for (const host of hosts) await host.start()
      },
      () => 0,
    )
    const restarted = await perHost(
      'restart of the server',
      async () => {
        await server.stop()
        await when(() => hosts.every((host) => !host.isConfirmed), 60)
        await server.start()
      },
      // What the server needs to read its own file is not for the hosts.
      () => server.lastStartCpuSeconds,
    )
    return [started, restarted]
  } finally {
    await Promise.all(hosts.map((host) => host.close()))
  }
}

/** Sessions of hosts that have their copies, over a restart of the server: from when it answers until it confirms every copy. */
export async function measureRestart(fleet: Fleet, count: number): Promise<FleetRow> {
  const { server } = fleet
  const transaction = await lastTransaction(server.endpoint)
  const hosts = Array.from(
    { length: count },
    (_, host) => new LightSession(server.endpoint, networksOf(fleet, host), transaction),
  )
  try {
    for (const host of hosts) host.start()
    await when(() => hosts.every((host) => host.isConfirmed), longest)
    await server.stop()
    await when(() => hosts.every((host) => !host.isConfirmed), longest)
    const bytes = sumOf(hosts)
    await server.start()
    const [cpu, memory, began] = [server.cpuSeconds, server.memoryMiB, performance.now()]
    await when(() => hosts.every((host) => host.isConfirmed), longest)
    const copies = hosts.reduce((sum, host) => sum + host.copies, 0)
    const grown = Math.round(server.memoryMiB - memory)
    return fleetRow({
      ...given(fleet, 'sessions with their copies: restart of the server', count),
      secondsToReady: (performance.now() - began) / 1_000,
      firstCopyBytes: (sumOf(hosts) - bytes) / count,
      serverCpuSeconds: server.cpuSeconds - cpu,
      serverMemoryMiB: server.memoryMiB,
      note: `${copies} whole copies; ${grown} MiB more than before they came`,
    })
  } finally {
    await Promise.all(hosts.map((host) => host.close()))
  }
}

function sumOf(hosts: readonly { readonly bytesReceived: number }[]): number {
  return hosts.reduce((sum, host) => sum + host.bytesReceived, 0)
}

/** Calculated from a measured row: the server works for one host after the other. */
export function extrapolated(row: FleetRow, hosts: number): FleetRow {
  const times = hosts / row.hosts
  return fleetRow({
    ...row,
    hosts,
    secondsToReady: null,
    serverMemoryMiB: null,
    serverCpuSeconds: row.serverCpuSeconds === null ? null : row.serverCpuSeconds * times,
    note: `calculated: ${row.hosts} measured, times ${times}`,
  })
}
