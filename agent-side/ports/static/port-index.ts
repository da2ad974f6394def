import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { Port, PortQuery } from '../directory/port-directory.ts'

/** Nearly every address has one port, so a list is only made when a second one comes. */
type OneOrMorePorts = Port | Port[]

class NetworkPorts {
  readonly byFixedIp = new Map<string, OneOrMorePorts>()
  readonly byMac = new Map<string, OneOrMorePorts>()
}

function add(map: Map<string, OneOrMorePorts>, key: string, port: Port): boolean {
  const entry = map.get(key)
  if (entry === undefined) map.set(key, port)
  else if (Array.isArray(entry)) entry.push(port)
  else map.set(key, [entry, port])
  return entry !== undefined
}

function addMatches(matches: Set<Port>, entry: OneOrMorePorts | undefined): void {
  if (entry === undefined) return
  if (Array.isArray(entry)) for (const port of entry) matches.add(port)
  else matches.add(entry)
}

/** Finds ports by network and fixed IP or MAC, in the same time however many there are. Never changes once made. */
export class StaticPortIndex {
  readonly #networks = new Map<NetworkId, NetworkPorts>()
  readonly #shared: string[] = []

  constructor(ports: Iterable<Port>) {
    for (const port of ports) this.#add(port)
  }

  /** Addresses and MACs that several ports of one network have: `10.0.0.10 on network N`. Requests from there are refused. */
  get shared(): readonly string[] {
    return this.#shared
  }

  /** Every port of the queried networks that has the fixed IP or the MAC, each once. */
  find(query: PortQuery): readonly Port[] {
    const matches = new Set<Port>()
    for (const networkId of query.networkIds) {
      const ports = this.#networks.get(networkId)
      if (ports === undefined) continue
      if (query.fixedIp !== undefined) addMatches(matches, ports.byFixedIp.get(query.fixedIp))
      if (query.macAddress !== undefined) addMatches(matches, ports.byMac.get(query.macAddress))
    }
    return [...matches]
  }

  #add(port: Port): void {
    let ports = this.#networks.get(port.networkId)
    if (ports === undefined) {
      ports = new NetworkPorts()
      this.#networks.set(port.networkId, ports)
    }
    for (const fixedIp of new Set(port.fixedIps)) {
      if (add(ports.byFixedIp, fixedIp, port)) this.#noteShared(fixedIp, port.networkId)
    }
    if (add(ports.byMac, port.macAddress, port)) this.#noteShared(port.macAddress, port.networkId)
  }

  #noteShared(address: string, networkId: NetworkId): void {
    // For a log line: enough to see what is meant.
    if (this.#shared.length < 10) this.#shared.push(`${address} on network ${networkId}`)
  }
}
