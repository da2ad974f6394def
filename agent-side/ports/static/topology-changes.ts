import { isDeepStrictEqual } from 'node:util'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { DirectoryChange, Port, RouterInterface } from '../directory/port-directory.ts'
import type { StaticTopology } from './topology.ts'

/** Beyond this many, forgetting everything is cheaper than forgetting one by one. */
const mostChanges = 1_000

function portsById(topology: StaticTopology): Map<string, Port> {
  return new Map(topology.ports.map((port) => [port.portId, port]))
}

function changedNetworks(before: StaticTopology, after: StaticTopology): Set<NetworkId> {
  const changed = new Set<NetworkId>()
  const old = portsById(before)
  for (const port of after.ports) {
    const previous = old.get(port.portId)
    old.delete(port.portId)
    if (previous !== undefined && isDeepStrictEqual(previous, port)) continue
    changed.add(port.networkId)
    if (previous !== undefined) changed.add(previous.networkId)
  }
  for (const port of old.values()) changed.add(port.networkId)
  return changed
}

/** What must be forgotten when one file takes the place of another. */
export function topologyChanges(
  before: StaticTopology | undefined,
  after: StaticTopology,
): readonly DirectoryChange[] {
  if (before === undefined) return [{ kind: 'all', why: 'the file was read for the first time' }]
  const changes: DirectoryChange[] = []
  for (const routerId of new Set([...before.routers.keys(), ...after.routers.keys()])) {
    const old = interfaceTexts(before.routers.get(routerId))
    const now = interfaceTexts(after.routers.get(routerId))
    if (!isSameSet(old, now)) changes.push({ kind: 'router', routerId })
  }
  for (const networkId of changedNetworks(before, after)) {
    changes.push({ kind: 'network', networkId })
  }
  return changes.length > mostChanges
    ? [{ kind: 'all', why: `${changes.length} networks and routers changed at once` }]
    : changes
}

function interfaceTexts(interfaces: readonly RouterInterface[] = []): ReadonlySet<string> {
  return new Set(interfaces.map(({ networkId, portId = '' }) => `${networkId} ${portId}`))
}

function isSameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((id) => other.has(id))
}
