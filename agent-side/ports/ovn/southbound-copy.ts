import type { Count } from '../../../lib/runtime/clock.ts'
import {
  parseInstanceId,
  parseNetworkId,
  parsePortId,
  parseProjectId,
  parseRouterId,
  type NetworkId,
  type RouterId,
} from '../../../lib/identity/ids.ts'
import { OvsdbError } from '../../../lib/ovsdb/ovsdb-error.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'
import type { Port, PortQuery, RouterInterface } from '../directory/port-directory.ts'
import type { Joints } from './joints.ts'
import { OvnPortIndex, routerOf, type IndexedPort } from './port-index.ts'
import {
  modifyDatapathBinding,
  modifyPortBinding,
  readDatapathBinding,
  readPortBinding,
  type DatapathBinding,
  type PortBinding,
} from './schema.ts'

/** What a set of changes touched, networks by both of their names: caches must drop their answers about these. */
export interface Touched {
  readonly networkIds: Set<NetworkId>
  readonly routerIds: Set<RouterId>
}

/**
 * The name of a network for proxies of Neutron 17 and older: the UUID of its datapath's row, which was in `X-OVN-Network-ID`
 * and in the names of the namespaces, `ovnmeta-UUID`.
 */
function olderIdOf(datapath: string): NetworkId | undefined {
  return parseNetworkId(datapath)
}

function addNames(touched: Touched, networkId: NetworkId, datapath: string): void {
  touched.networkIds.add(networkId)
  const olderId = olderIdOf(datapath)
  if (olderId !== undefined) touched.networkIds.add(olderId)
}

interface Datapath {
  readonly binding: DatapathBinding
  readonly networkId: NetworkId | undefined
}

const prefix = 'neutron-'

/** How Neutron names the datapath of a network or a router. */
export function datapathName(id: NetworkId | RouterId): string {
  return `${prefix}${id}`
}

/** Neutron names the switch of a network `neutron-` and the id; routers' datapaths are named alike. */
function networkOf({ name, logicalSwitch }: DatapathBinding): NetworkId | undefined {
  if (logicalSwitch === undefined || name?.startsWith(prefix) !== true) return undefined
  return parseNetworkId(name.slice(prefix.length))
}

function routerNamed({ name, logicalSwitch }: DatapathBinding): RouterId | undefined {
  if (logicalSwitch !== undefined || name?.startsWith(prefix) !== true) return undefined
  return parseRouterId(name.slice(prefix.length))
}

/** One complete copy of the southbound tables that we need, and the answers that can be read off it. */
export class SouthboundCopy {
  readonly #ports = new OvnPortIndex()
  readonly #datapaths = new Map<string, Datapath>()
  /** More than one datapath only while Neutron or northd repair their rows. */
  readonly #datapathsOfNetwork = new Map<NetworkId, readonly string[]>()
  /** What leads from one datapath to another; absent where every row is copied. */
  readonly joints: Joints | undefined
  #shape = 0

  constructor(joints?: Joints) {
    this.joints = joints
  }

  /** Another number whenever datapaths, or what joins them, have changed. */
  get shape(): Count {
    return this.#shape
  }

  get networkCount(): Count {
    return this.#datapathsOfNetwork.size
  }

  get portCount(): Count {
    const others = this.#ports.noPorts.reduce((sum, [, count]) => sum + count, 0)
    return this.#ports.size - others
  }

  get noPorts(): OvnPortIndex['noPorts'] {
    return this.#ports.noPorts
  }

  /** Takes in one transaction, or several that came together. */
  applyAll(changes: readonly RowChange[]): Touched {
    const touched = { networkIds: new Set<NetworkId>(), routerIds: new Set<RouterId>() }
    // A row may be replaced by another of the same name, and nothing shows which of the two stands first.
    for (const change of changes) if (change.kind === 'delete') this.apply(change, touched)
    for (const change of changes) if (change.kind !== 'delete') this.apply(change, touched)
    return touched
  }

  /** @throws OvsdbError `protocol` for a row that cannot be read, or a difference to one that is not there */
  apply(change: RowChange, touched?: Touched): void {
    if (change.table === 'Port_Binding') this.#applyPort(change, touched)
    else if (change.table === 'Datapath_Binding') this.#applyDatapath(change, touched)
  }

  /** The switch's side of a router's interface is named by the id of the router's port. */
  interfacesOfRouter(routerId: RouterId): readonly RouterInterface[] {
    return this.#ports.interfacesOfRouter(routerId).flatMap(({ datapath, logicalPort }) => {
      const networkId = this.#datapaths.get(datapath)?.networkId
      if (networkId === undefined) return []
      const portId = parsePortId(logicalPort)
      return [{ networkId, ...(portId !== undefined && { portId }) }]
    })
  }

  find(query: PortQuery): readonly Port[] {
    const found: Port[] = []
    const indexed: IndexedPort[] = []
    // A query that names a network by its older name is answered with ports that carry that name.
    for (const networkId of new Set(query.networkIds)) {
      for (const datapath of this.datapathsNamed(networkId)) {
        indexed.length = 0
        this.#ports.find(datapath, query, indexed)
        for (const port of indexed) {
          const made = toPort(port, networkId)
          if (made !== undefined) found.push(made)
        }
      }
    }
    return found
  }

  /** The datapaths of a router. */
  datapathsOfRouter(routerId: RouterId): readonly string[] {
    const held = [...this.#datapaths].filter(([, { binding }]) => routerNamed(binding) === routerId)
    return held.map(([uuid]) => uuid)
  }

  /** The network of a switch, where its row is in the copy. */
  networkOn(datapath: string): NetworkId | undefined {
    return this.#datapaths.get(datapath)?.networkId
  }

  /** The datapaths of a network, by its id or by its older name. */
  datapathsNamed(networkId: NetworkId): readonly string[] {
    const byId = this.#datapathsOfNetwork.get(networkId)
    const isOlder = this.#datapaths.get(networkId)?.networkId !== undefined
    // The same text could only be both in a database that was made for it; then both count.
    if (isOlder) return [...new Set([networkId, ...(byId ?? [])])]
    return byId ?? []
  }

  *allPorts(): Generator<Port, void, void> {
    for (const port of this.#ports.ports()) {
      const networkId = this.#datapaths.get(port.binding.datapath)?.networkId
      const made = networkId && toPort(port, networkId)
      if (made) yield made
    }
  }

  #applyPort(change: RowChange, touched: Touched | undefined): void {
    // A full copy has no row twice, and so nothing to look up.
    const before = touched === undefined ? undefined : this.#ports.get(change.uuid)
    if (change.kind === 'delete') {
      this.#touch(before, touched)
      this.#noteJoint(change.uuid, before, undefined)
      for (const other of this.#ports.delete(change.uuid)) this.#touch(other, touched)
      return
    }
    const after = change.kind === 'put' ? readPortBinding(change.row) : modified(before, change)
    if (after === before) return
    this.#noteJoint(change.uuid, before, after)
    for (const other of this.#ports.put(change.uuid, after)) this.#touch(other, touched)
    this.#touch(before, touched)
    this.#touch(after, touched)
  }

  #noteJoint(uuid: string, before: PortBinding | undefined, after: PortBinding | undefined): void {
    if (this.joints?.replace(uuid, before, after) === true) this.#shape += 1
  }

  #touch(binding: PortBinding | undefined, touched: Touched | undefined): void {
    if (binding === undefined || touched === undefined) return
    const networkId = this.#datapaths.get(binding.datapath)?.networkId
    if (networkId !== undefined) addNames(touched, networkId, binding.datapath)
    const routerId = routerOf(binding)
    if (routerId !== undefined) touched.routerIds.add(routerId)
  }

  #applyDatapath(change: RowChange, touched: Touched | undefined): void {
    const { uuid } = change
    const before = this.#datapaths.get(uuid)
    this.#shape += 1
    if (change.kind === 'delete') {
      this.#datapaths.delete(uuid)
      this.#renameDatapath(uuid, before?.networkId, undefined, touched)
      return
    }
    if (change.kind === 'modify' && before === undefined) throw unknownRow()
    const binding =
      change.kind === 'put' || before === undefined
        ? readDatapathBinding(change.row)
        : modifyDatapathBinding(before.binding, change.row)
    const networkId = networkOf(binding)
    this.#datapaths.set(uuid, { binding, networkId })
    this.#renameDatapath(uuid, before?.networkId, networkId, touched)
  }

  #renameDatapath(
    uuid: string,
    before: NetworkId | undefined,
    after: NetworkId | undefined,
    touched: Touched | undefined,
  ): void {
    if (before === after) return
    if (before !== undefined) {
      const left = (this.#datapathsOfNetwork.get(before) ?? []).filter((one) => one !== uuid)
      if (left.length === 0) this.#datapathsOfNetwork.delete(before)
      else this.#datapathsOfNetwork.set(before, left)
      if (touched !== undefined) addNames(touched, before, uuid)
    }
    if (after !== undefined) {
      const known = this.#datapathsOfNetwork.get(after) ?? []
      this.#datapathsOfNetwork.set(after, [...known, uuid])
      if (touched !== undefined) addNames(touched, after, uuid)
    }
    if (touched === undefined) return
    for (const routerId of this.#ports.routersOnDatapath(uuid)) touched.routerIds.add(routerId)
  }
}

function unknownRow(): OvsdbError {
  return new OvsdbError('protocol', 'A difference came for a row that is not in the copy')
}

function modified(
  before: PortBinding | undefined,
  change: RowChange & { readonly kind: 'modify' },
): PortBinding {
  if (before === undefined) throw unknownRow()
  return modifyPortBinding(before, change.row)
}

/** Every kind of row is a port like any other, metadata ports of type `localport` too: an address they hold is no guest's. */
function toPort({ binding, facts }: IndexedPort, networkId: NetworkId): Port | undefined {
  const portId = parsePortId(binding.logicalPort)
  if (portId === undefined) return undefined
  const instanceId = parseInstanceId(binding.deviceId)
  const projectId = parseProjectId(binding.projectId)
  const { deviceOwner } = binding
  return {
    portId,
    networkId,
    ...facts,
    ...(instanceId !== undefined && { instanceId }),
    ...(projectId !== undefined && { projectId }),
    ...(deviceOwner !== undefined && deviceOwner !== '' && { deviceOwner }),
  }
}
