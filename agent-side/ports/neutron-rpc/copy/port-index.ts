import type { Count } from '../../../../lib/runtime/clock.ts'
import type { NetworkId, PortId, RouterId } from '../../../../lib/identity/ids.ts'
import type { IpAddress } from '../../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../../lib/identity/mac-address.ts'
import { routerOfInterface, type NeutronPort } from '../../directory/neutron-port.ts'
import type { Port } from '../../directory/port-directory.ts'

/** Nearly always one: a set for each would be half of the memory. */
type OneOrMore = PortId | ReadonlySet<PortId>

interface NetworkPorts {
  readonly ports: Set<PortId>
  readonly byIp: Map<IpAddress, OneOrMore>
  readonly byMac: Map<MacAddress, OneOrMore>
}

function setOf(portIds: OneOrMore | undefined): Set<PortId> {
  if (portIds === undefined) return new Set()
  return typeof portIds === 'string' ? new Set([portIds]) : new Set(portIds)
}

function added<Key>(map: Map<Key, OneOrMore>, key: Key, portId: PortId): void {
  const held = map.get(key)
  map.set(key, held === undefined || held === portId ? portId : setOf(held).add(portId))
}

function removed<Key>(map: Map<Key, OneOrMore>, key: Key, portId: PortId): void {
  const left = setOf(map.get(key))
  left.delete(portId)
  const [first] = left
  if (first === undefined) map.delete(key)
  else map.set(key, left.size === 1 ? first : left)
}

/** Ports, found by id, by network with address or MAC, and by router. Each lookup takes the same time however many there are. */
export class NeutronPortIndex<Row extends NeutronPort> {
  readonly #ports = new Map<PortId, Row>()
  readonly #networks = new Map<NetworkId, NetworkPorts>()
  readonly #routers = new Map<RouterId, OneOrMore>()

  get size(): Count {
    return this.#ports.size
  }

  /** Networks with ports. */
  get networks(): Count {
    return this.#networks.size
  }

  get(portId: PortId): Row | undefined {
    return this.#ports.get(portId)
  }

  *all(): Iterable<Port> {
    for (const held of this.#ports.values()) yield held.port
  }

  ofNetwork(networkId: NetworkId): readonly PortId[] {
    return [...(this.#networks.get(networkId)?.ports ?? [])]
  }

  ofRouter(routerId: RouterId): readonly PortId[] {
    return [...setOf(this.#routers.get(routerId))]
  }

  /** Ids of the ports of one network that have the address or the MAC, each once. */
  matching(
    networkId: NetworkId,
    fixedIp: IpAddress | undefined,
    macAddress: MacAddress | undefined,
  ): ReadonlySet<PortId> {
    const network = this.#networks.get(networkId)
    const byIp = fixedIp === undefined ? undefined : network?.byIp.get(fixedIp)
    const byMac = macAddress === undefined ? undefined : network?.byMac.get(macAddress)
    const found = setOf(byIp)
    for (const portId of setOf(byMac)) found.add(portId)
    return found
  }

  set(held: Row): void {
    const { port } = held
    this.delete(port.portId)
    this.#ports.set(port.portId, held)
    let network = this.#networks.get(port.networkId)
    if (network === undefined) {
      network = { ports: new Set(), byIp: new Map(), byMac: new Map() }
      this.#networks.set(port.networkId, network)
    }
    network.ports.add(port.portId)
    added(network.byMac, port.macAddress, port.portId)
    for (const fixedIp of port.fixedIps) added(network.byIp, fixedIp, port.portId)
    const routerId = routerOfInterface(port)
    if (routerId !== undefined) added(this.#routers, routerId, port.portId)
  }

  delete(portId: PortId): void {
    const held = this.#ports.get(portId)
    if (held === undefined) return
    const { port } = held
    this.#ports.delete(portId)
    const network = this.#networks.get(port.networkId)
    if (network !== undefined) {
      network.ports.delete(portId)
      removed(network.byMac, port.macAddress, portId)
      for (const fixedIp of port.fixedIps) removed(network.byIp, fixedIp, portId)
      if (network.ports.size === 0) this.#networks.delete(port.networkId)
    }
    const routerId = routerOfInterface(port)
    if (routerId !== undefined) removed(this.#routers, routerId, portId)
  }
}
