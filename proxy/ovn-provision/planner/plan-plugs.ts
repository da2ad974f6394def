/** Which cables are to be plugged into the integration bridge, and which pulled? Operations on the local database. */
import { writeStringMap, writeStringSet } from '../../../lib/ovsdb/notation.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { SwitchRows } from './switch-rows.ts'

/** A cable that must be in the bridge. */
export interface WantedPlug {
  readonly networkId: NetworkId
  /** The interface outside the namespace, which is there already. */
  readonly link: string
  readonly logicalPort: string
}

/** One cable to be plugged or pulled; each set of operations is right by itself. */
export interface PlugChange {
  readonly networkId: string
  readonly operations: readonly unknown[]
}

/** By this key of `external_ids` we know a cable again, after its network has left every database. */
const ownerKey = 'overlapd:network'
const logicalPortKey = 'iface-id'

/** What decides which cables are pulled. */
export interface PullRules {
  /** Cables by network that are to be pulled also without our mark: another agent plugged them. */
  readonly pulled: ReadonlyMap<string, string>
  /** Nothing of such a network is pulled. */
  readonly isStaying: (networkId: string) => boolean
}

/** Compares what is plugged with what is wanted. */
export function planPlugs(
  rows: SwitchRows,
  bridgeName: string,
  wanted: readonly WantedPlug[],
  rules: PullRules,
): PlugChange[] {
  const bridge = [...rows.bridges.values()].find(({ name }) => name === bridgeName)
  const holders = holdersOf(rows)
  const ports = new Map([...rows.ports].map(([uuid, port]) => [port.name, uuid]))
  const interfaces = new Map([...rows.interfaces].map(([uuid, one]) => [one.name, uuid]))
  const pulled = new Map(rules.pulled)
  for (const { external_ids, name } of rows.interfaces.values()) {
    const owner = external_ids.get(ownerKey)
    if (owner !== undefined) pulled.set(owner, name)
  }
  const changes: PlugChange[] = []
  for (const [networkId, link] of pulled) {
    const port = ports.get(link)
    const held = port === undefined ? undefined : holders.get(port)
    const uuid = interfaces.get(link)
    const ids = uuid === undefined ? undefined : rows.interfaces.get(uuid)?.external_ids
    if (rules.isStaying(networkId) || isOfInstance(ids)) continue
    if (held !== undefined && port !== undefined) {
      changes.push({ networkId, operations: [detachment(held.name, port)] })
    }
  }
  if (bridge === undefined) return changes
  for (const plug of wanted) {
    const operations = plugging(plug, { rows, bridgeName, holders, ports, interfaces })
    if (operations.length > 0) changes.push({ networkId: plug.networkId, operations })
  }
  return changes
}

/** Nova names an instance's interface by the same pattern, from the id of its port. */
function isOfInstance(ids: ReadonlyMap<string, string> | undefined): boolean {
  return ids?.has('vm-uuid') === true || ids?.has('vm-id') === true
}

interface Known {
  readonly rows: SwitchRows
  readonly bridgeName: string
  readonly holders: ReadonlyMap<string, { readonly name: string }>
  readonly ports: ReadonlyMap<string, string>
  readonly interfaces: ReadonlyMap<string, string>
}

function plugging({ networkId, link, logicalPort }: WantedPlug, known: Known): unknown[] {
  const { rows, bridgeName, holders } = known
  const port = known.ports.get(link)
  const ids = { [logicalPortKey]: logicalPort, [ownerKey]: networkId }
  if (port === undefined) {
    // Names of new rows must differ within a transaction.
    const suffix = networkId.replaceAll('-', '_')
    const [wire, socket] = [`wire_${suffix}`, `socket_${suffix}`]
    return [
      {
        op: 'insert',
        table: 'Interface',
        row: { name: link, external_ids: writeStringMap(ids) },
        'uuid-name': wire,
      },
      {
        op: 'insert',
        table: 'Port',
        row: { name: link, interfaces: ['named-uuid', wire] },
        'uuid-name': socket,
      },
      mutatePorts(bridgeName, 'insert', ['named-uuid', socket]),
    ]
  }
  const operations: unknown[] = []
  const holder = holders.get(port)
  if (holder?.name !== bridgeName) {
    if (holder !== undefined) operations.push(detachment(holder.name, port))
    operations.push(mutatePorts(bridgeName, 'insert', ['uuid', port]))
  }
  const uuid = known.interfaces.get(link)
  const before = uuid === undefined ? undefined : rows.interfaces.get(uuid)?.external_ids
  const isSet = Object.entries(ids).every(([key, value]) => before?.get(key) === value)
  if (!isSet) {
    const mutations = [
      // An "insert" into a map leaves keys alone that are there, so the old values go first.
      ['external_ids', 'delete', writeStringSet(Object.keys(ids))],
      ['external_ids', 'insert', writeStringMap(ids)],
    ]
    operations.push({ op: 'mutate', table: 'Interface', where: [['name', '==', link]], mutations })
  }
  return operations
}

/** The bridge of each port. */
function holdersOf({ bridges }: SwitchRows): Map<string, { readonly name: string }> {
  const holders = new Map<string, { readonly name: string }>()
  for (const bridge of bridges.values()) {
    for (const port of bridge.ports) holders.set(port, bridge)
  }
  return holders
}

/** A port that is in no bridge is gone, and its interface with it. */
function detachment(bridgeName: string, port: string): unknown {
  return mutatePorts(bridgeName, 'delete', ['uuid', port])
}

function mutatePorts(bridgeName: string, mutator: 'insert' | 'delete', port: unknown): unknown {
  const mutations = [['ports', mutator, ['set', [port]]]]
  return { op: 'mutate', table: 'Bridge', where: [['name', '==', bridgeName]], mutations }
}
