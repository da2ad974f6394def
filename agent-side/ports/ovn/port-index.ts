import type { Count } from '../../../lib/runtime/clock.ts'
import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import { parseRouterId, type RouterId } from '../../../lib/identity/ids.ts'
import { routerInterfaceOwners } from '../directory/port-directory.ts'
import {
  isRouterAttachment,
  noPortReasons,
  portFacts,
  routerSideMac,
  type NoPort,
  type PortFacts,
} from './port-facts.ts'
import { RowSlots } from './row-slots.ts'
import { plainFacts, restorePort, storePort, type StoredPort } from './stored-port.ts'
import type { PortBinding } from './schema.ts'
import { hashTexts, SlotMultimap } from './slot-multimap.ts'

/** A port that was found: the row and its facts. */
export interface IndexedPort {
  readonly binding: StoredPort
  readonly facts: PortFacts
}

/** What a port has to have: either of the two. */
export interface SoughtPort {
  readonly fixedIp?: IpAddress
  readonly macAddress?: MacAddress
}

/** Texts that stand in many rows, kept once. Forgetting them costs memory, never correctness. */
const mostShared = 100_000

/**
 * The rows of Port_Binding, found by (datapath, fixed IP) and (datapath, MAC). It knows datapaths by their UUIDs only,
 * so it does not care whether a network's row comes before or after those of its ports.
 */
export class OvnPortIndex {
  readonly #rows = new RowSlots<StoredPort>()
  readonly #byAddress = new SlotMultimap()
  readonly #byMac = new SlotMultimap()
  /** MACs of router interfaces by the id of their port, from the rows of the router side. */
  readonly #routerMacs = new Map<string, MacAddress>()
  /** Slots of the switch side of router interfaces, by port id. */
  readonly #attachments = new Map<string, number>()
  readonly #interfaces = new Map<RouterId, Set<number>>()
  readonly #noPorts = new Map<NoPort, Count>()
  readonly #shared = new Map<string, string>()

  /** All rows, also those that are no Neutron port. */
  get size(): Count {
    return this.#rows.size
  }

  /** Rows that are no Neutron port, by reason. */
  get noPorts(): readonly (readonly [NoPort, Count])[] {
    return noPortReasons.map((reason) => [reason, this.#noPorts.get(reason) ?? 0] as const)
  }

  get(uuid: string): PortBinding | undefined {
    const slot = this.#rows.slotOf(uuid)
    const stored = slot === undefined ? undefined : this.#rows.at(slot)
    return stored && restorePort(stored)
  }

  /**
   * Puts a row in place of what it was.
   * @returns other rows whose meaning changed with it
   */
  put(uuid: string, given: PortBinding): readonly PortBinding[] {
    const read = this.#read(given)
    const facts = typeof read === 'string' ? undefined : read
    const binding = storePort(given, facts, (text) => this.#share(text))
    const known = this.#rows.slotOf(uuid)
    const before = known === undefined ? undefined : this.#rows.at(known)
    if (known !== undefined) this.#unlink(known)
    const slot = known ?? this.#rows.add(uuid, binding)
    if (known !== undefined) this.#rows.replace(known, binding)
    this.#link(slot, binding)
    const old = before && routerSideMac(before)
    const now = routerSideMac(binding)
    const gone = old && old.logicalPort !== now?.logicalPort
    return [
      ...(gone ? this.#setRouterMac(old.logicalPort, undefined) : []),
      ...(now ? this.#setRouterMac(now.logicalPort, now.macAddress) : []),
    ]
  }

  /** @returns other rows whose meaning changed with it */
  delete(uuid: string): readonly PortBinding[] {
    const slot = this.#rows.slotOf(uuid)
    const binding = slot === undefined ? undefined : this.#rows.at(slot)
    if (slot === undefined || binding === undefined) return []
    this.#unlink(slot)
    this.#rows.remove(slot)
    const known = routerSideMac(binding)
    return known ? this.#setRouterMac(known.logicalPort, undefined) : []
  }

  /** Adds the ports of the datapath that have the address or the MAC, each once. */
  find(datapath: string, sought: SoughtPort, into: IndexedPort[]): void {
    const { fixedIp, macAddress } = sought
    const slots: number[] = []
    if (fixedIp !== undefined) this.#byAddress.collect(hashTexts(datapath, fixedIp), slots)
    if (macAddress !== undefined) this.#byMac.collect(hashTexts(datapath, macAddress), slots)
    for (const [place, slot] of slots.entries()) {
      // A query with both finds most ports twice.
      if (slots.indexOf(slot) !== place) continue
      const binding = this.#rows.at(slot)
      if (binding?.datapath !== datapath) continue
      const facts = this.#factsOf(binding)
      if (typeof facts !== 'string' && isSought(facts, sought)) into.push({ binding, facts })
    }
  }

  /** The switches' sides of the router's interfaces. */
  interfacesOfRouter(routerId: RouterId): readonly Pick<PortBinding, 'datapath' | 'logicalPort'>[] {
    const slots = [...(this.#interfaces.get(routerId) ?? [])]
    return slots.flatMap((slot) => this.#rows.at(slot) ?? [])
  }

  /** Routers that have an interface on the datapath. */
  routersOnDatapath(datapath: string): readonly RouterId[] {
    return [...this.#interfaces.keys()].filter((routerId) =>
      this.interfacesOfRouter(routerId).some((one) => one.datapath === datapath),
    )
  }

  *ports(): Generator<IndexedPort, void, void> {
    for (const binding of this.#rows.values()) {
      const facts = this.#factsOf(binding)
      if (typeof facts !== 'string') yield { binding, facts }
    }
  }

  #factsOf(binding: StoredPort): PortFacts | NoPort {
    return plainFacts(binding) ?? this.#read(binding)
  }

  #read(binding: PortBinding): PortFacts | NoPort {
    return portFacts(binding, this.#routerMacs.get(binding.logicalPort))
  }

  #link(slot: number, binding: StoredPort): void {
    const facts = this.#factsOf(binding)
    if (isRouterAttachment(binding)) this.#attachments.set(binding.logicalPort, slot)
    const routerId = routerOf(binding)
    if (routerId !== undefined) this.#interfacesOf(routerId).add(slot)
    if (typeof facts === 'string') {
      this.#noPorts.set(facts, (this.#noPorts.get(facts) ?? 0) + 1)
      return
    }
    this.#byMac.add(hashTexts(binding.datapath, facts.macAddress), slot)
    for (const ip of facts.fixedIps) this.#byAddress.add(hashTexts(binding.datapath, ip), slot)
  }

  #unlink(slot: number): void {
    const binding = this.#rows.at(slot)
    if (binding === undefined) return
    const facts = this.#factsOf(binding)
    if (this.#attachments.get(binding.logicalPort) === slot) {
      this.#attachments.delete(binding.logicalPort)
    }
    const routerId = routerOf(binding)
    if (routerId !== undefined) this.#leaveRouter(routerId, slot)
    if (typeof facts === 'string') {
      this.#noPorts.set(facts, (this.#noPorts.get(facts) ?? 1) - 1)
      return
    }
    this.#byMac.remove(hashTexts(binding.datapath, facts.macAddress), slot)
    for (const ip of facts.fixedIps) this.#byAddress.remove(hashTexts(binding.datapath, ip), slot)
  }

  #interfacesOf(routerId: RouterId): Set<number> {
    const known = this.#interfaces.get(routerId)
    if (known !== undefined) return known
    const made = new Set<number>()
    this.#interfaces.set(routerId, made)
    return made
  }

  #leaveRouter(routerId: RouterId, slot: number): void {
    const slots = this.#interfaces.get(routerId)
    slots?.delete(slot)
    if (slots?.size === 0) this.#interfaces.delete(routerId)
  }

  #setRouterMac(logicalPort: string, macAddress: MacAddress | undefined): readonly PortBinding[] {
    if (this.#routerMacs.get(logicalPort) === macAddress) return []
    const slot = this.#attachments.get(logicalPort)
    const attached = slot === undefined ? undefined : this.#rows.at(slot)
    // The entries in the tables were made with the old MAC, so they are found only with it.
    if (slot !== undefined) this.#unlink(slot)
    if (macAddress === undefined) this.#routerMacs.delete(logicalPort)
    else this.#routerMacs.set(logicalPort, macAddress)
    if (slot !== undefined && attached !== undefined) this.#link(slot, attached)
    return attached === undefined ? [] : [attached]
  }

  #share(text: string): string {
    const known = this.#shared.get(text)
    if (known !== undefined) return known
    if (this.#shared.size >= mostShared) this.#shared.clear()
    this.#shared.set(text, text)
    return text
  }
}

function isSought(facts: PortFacts, { fixedIp, macAddress }: SoughtPort): boolean {
  if (macAddress !== undefined && facts.macAddress === macAddress) return true
  return fixedIp !== undefined && facts.fixedIps.includes(fixedIp)
}

/** The router whose interface a row is. */
export function routerOf(binding: PortBinding): RouterId | undefined {
  const isInterface =
    isRouterAttachment(binding) && routerInterfaceOwners.has(binding.deviceOwner ?? '')
  return isInterface ? parseRouterId(binding.deviceId) : undefined
}
