import { isDeepStrictEqual } from 'node:util'
import type { MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import type { PortId } from '../../../../lib/identity/ids.ts'
import type { Port, PortQuery } from '../../directory/port-directory.ts'

/** All ports of one network as Neutron reported them at one moment. */
export class NetworkCopy {
  readonly asOf: MonotonicMilliseconds
  readonly #ports = new Map<PortId, Port>()
  readonly #byKey = new Map<string, Port[]>()

  constructor(ports: Iterable<Port>, asOf: MonotonicMilliseconds) {
    this.asOf = asOf
    for (const port of ports) this.#add(port)
  }

  get size(): number {
    return this.#ports.size
  }

  all(): readonly Port[] {
    return [...this.#ports.values()]
  }

  /** Ports with the fixed IP or the MAC, each once. */
  find({ fixedIp, macAddress }: Pick<PortQuery, 'fixedIp' | 'macAddress'>): readonly Port[] {
    const byIp = fixedIp === undefined ? [] : (this.#byKey.get(fixedIp) ?? [])
    const byMac = macAddress === undefined ? [] : (this.#byKey.get(macAddress) ?? [])
    if (byIp.length === 0) return byMac
    return byMac.length === 0 ? byIp : [...new Set([...byIp, ...byMac])]
  }

  isSameAs(other: NetworkCopy): boolean {
    return (
      this.size === other.size &&
      [...this.#ports.values()].every((port) => isSamePort(port, other.#ports.get(port.portId)))
    )
  }

  #add(port: Port): void {
    // Pages of a list that changes meanwhile can show a port twice.
    if (this.#ports.has(port.portId)) return
    this.#ports.set(port.portId, port)
    // A MAC and an address never have the same text.
    for (const key of new Set<string>([port.macAddress, ...port.fixedIps])) {
      const ports = this.#byKey.get(key)
      if (ports === undefined) this.#byKey.set(key, [port])
      else ports.push(port)
    }
  }
}

/** True when both agree in everything that identity, or the shield, depends on. */
export function isSamePort(one: Port, other: Port | undefined): boolean {
  return (
    other !== undefined &&
    one.portId === other.portId &&
    one.networkId === other.networkId &&
    one.macAddress === other.macAddress &&
    one.instanceId === other.instanceId &&
    one.projectId === other.projectId &&
    one.fixedIps.length === other.fixedIps.length &&
    one.fixedIps.every((address) => other.fixedIps.includes(address)) &&
    isDeepStrictEqual(one.networkTags, other.networkTags)
  )
}

/** True when two lists hold the same ports, in any order. */
export function areSamePorts(some: readonly Port[], others: readonly Port[]): boolean {
  return (
    some.length === others.length &&
    some.every((one) =>
      isSamePort(
        one,
        others.find((other) => other.portId === one.portId),
      ),
    )
  )
}
