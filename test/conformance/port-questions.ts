import type { NetworkId, RouterId } from '../../lib/identity/ids.ts'
import type {
  DirectoryChange,
  Freshness,
  Port,
  PortDirectory,
  PortQuery,
  RouterInterface,
} from '../../agent-side/ports/directory/port-directory.ts'
import type { Topology, TopologyPort } from './topology.ts'

/** What a directory may throw when it cannot answer. */
export const cannotAnswer = new Set([
  'directory_not_ready',
  'directory_unavailable',
  'directory_timeout',
])

export function withoutPort(topology: Topology, gone: TopologyPort): Topology {
  return { ...topology, ports: topology.ports.filter((port) => port.portId !== gone.portId) }
}

export function withPort(topology: Topology, port: TopologyPort): Topology {
  return { ...topology, ports: [...withoutPort(topology, port).ports, port] }
}

export async function find(
  directory: PortDirectory,
  query: PortQuery,
  freshness: Freshness = 'fresh',
): Promise<readonly Port[]> {
  const answer = await directory.findPorts(query, {
    signal: new AbortController().signal,
    freshness,
  })
  return answer.ports
}

export async function interfacesOf(
  directory: PortDirectory,
  routerId: RouterId,
  freshness: Freshness = 'fresh',
): Promise<readonly RouterInterface[]> {
  const signal = new AbortController().signal
  const { interfaces } = await directory.interfacesOfRouter(routerId, { signal, freshness })
  const text = ({ networkId, portId }: RouterInterface): string => `${networkId} ${portId ?? ''}`
  return interfaces.toSorted((one, other) => text(one).localeCompare(text(other)))
}

export async function networksOf(
  directory: PortDirectory,
  routerId: RouterId,
  freshness: Freshness = 'fresh',
): Promise<readonly NetworkId[]> {
  const interfaces = await interfacesOf(directory, routerId, freshness)
  return [...new Set(interfaces.map(({ networkId }) => networkId))].toSorted()
}

/** What identity depends on, in one order, so that lists can be compared. */
export function identity(port: TopologyPort | Port): Record<string, unknown> {
  return {
    portId: port.portId,
    networkId: port.networkId,
    macAddress: port.macAddress,
    fixedIps: [...port.fixedIps].toSorted(),
    instanceId: port.instanceId,
    projectId: port.projectId,
  }
}

export function identities(
  ports: readonly (TopologyPort | Port)[],
): readonly Record<string, unknown>[] {
  return ports
    .map(identity)
    .toSorted((one, other) => String(one['portId']).localeCompare(String(other['portId'])))
}

/** Resolves with the first change that covers what is waited for. */
export function heard(
  directory: PortDirectory,
  covers: (change: DirectoryChange) => boolean,
): Promise<DirectoryChange> {
  return new Promise((resolve) => {
    // A directory does not keep a process alive, but whoever waits for it must.
    const alive = setInterval(() => undefined, 60_000)
    const end = directory.onChange((change) => {
      if (change.kind !== 'all' && !covers(change)) return
      clearInterval(alive)
      end()
      resolve(change)
    })
  })
}

export function touchesNetwork(networkId: NetworkId): (change: DirectoryChange) => boolean {
  return (change) => change.kind === 'network' && change.networkId === networkId
}

export function touchesRouter(routerId: RouterId): (change: DirectoryChange) => boolean {
  return (change) => change.kind === 'router' && change.routerId === routerId
}
