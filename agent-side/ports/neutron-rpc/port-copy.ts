import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../../lib/clock.ts'
import type { NetworkId, PortId, RouterId } from '../../../lib/ids.ts'
import { routerOfInterface, type NeutronPort } from '../neutron-port.ts'
import type { DirectoryChange, Port, PortQuery, RouterInterface } from '../port-directory.ts'
import { PortIndex } from './port-index.ts'
import type { PortEvent } from './versioned-object.ts'

/** What was fetched whole: a network, the interfaces of a router, or everything. */
export type Part =
  | { readonly kind: 'network'; readonly networkId: NetworkId }
  | { readonly kind: 'router'; readonly routerId: RouterId }
  | { readonly kind: 'all' }

/** How far a part of the copy can be believed. */
export interface Cover {
  /** When the fetch began that the part comes from. */
  readonly fetchedAt: MonotonicMilliseconds
  /** During which unbroken subscription to changes that was. */
  readonly era: number
}

/** Bounds of {@link PortCopy}. */
export interface PortCopyOptions {
  readonly clock: Clock
  /** Ports held at most; the networks that nobody asked for longest go first. */
  readonly maxPorts: Count
}

/** A fetch may be answered by a database that lags behind the one a push was read from. */
const databaseLag: Milliseconds = 5_000
/** A push that was read before a deletion may still be on its way so long after it. */
const tombstoneLife: Milliseconds = 15 * 60_000
const mostTombstones: Count = 100_000
const mostParts: Count = 50_000

function partKey(part: Part): string {
  if (part.kind === 'all') return 'all'
  return part.kind === 'network' ? `network/${part.networkId}` : `router/${part.routerId}`
}

/** True when two tellings of a port differ in what identity depends on. */
function differs(one: Port, other: Port): boolean {
  return (
    one.networkId !== other.networkId ||
    one.macAddress !== other.macAddress ||
    one.instanceId !== other.instanceId ||
    one.projectId !== other.projectId ||
    routerOfInterface(one) !== routerOfInterface(other) ||
    one.fixedIps.length !== other.fixedIps.length ||
    one.fixedIps.some((fixedIp) => !other.fixedIps.includes(fixedIp))
  )
}

function isOlder(one: NeutronPort, other: NeutronPort): boolean {
  return one.revision !== undefined && other.revision !== undefined && one.revision < other.revision
}

/**
 * Parts of Neutron's ports, kept right by pushes and by fetching again. Deletions are final, as ids are never
 * given out twice; of two tellings the one with the higher revision counts, since pushes of several servers and answers
 * overtake each other.
 * @see neutron/agent/resource_cache.py
 */
export class PortCopy {
  readonly #options: PortCopyOptions
  readonly #index = new PortIndex()
  /** In the order of last use. */
  readonly #covers = new Map<string, { readonly part: Part; readonly cover: Cover }>()
  readonly #toldAt = new Map<PortId, MonotonicMilliseconds>()
  readonly #tombstones = new Map<PortId, MonotonicMilliseconds>()

  constructor(options: PortCopyOptions) {
    this.#options = options
  }

  get size(): Count {
    return this.#index.size
  }

  get parts(): Count {
    return this.#covers.size
  }

  all(): Iterable<Port> {
    return this.#index.all()
  }

  /** The better of what is known of the part itself and of everything. Counts as use. */
  cover(part: Part): Cover | undefined {
    const key = partKey(part)
    const own = this.#covers.get(key)
    if (own !== undefined) {
      this.#covers.delete(key)
      this.#covers.set(key, own)
    }
    const whole = this.#covers.get('all')
    if (own === undefined || whole === undefined) return (own ?? whole)?.cover
    return own.cover.fetchedAt >= whole.cover.fetchedAt ? own.cover : whole.cover
  }

  interfacesOf(routerId: RouterId): readonly RouterInterface[] {
    return this.#index.ofRouter(routerId).flatMap((portId) => {
      const held = this.#index.get(portId)
      return held === undefined ? [] : [{ networkId: held.port.networkId, portId }]
    })
  }

  ofNetwork(networkId: NetworkId): readonly Port[] {
    return this.#index.ofNetwork(networkId).flatMap((portId) => this.#index.get(portId)?.port ?? [])
  }

  find(networkId: NetworkId, query: PortQuery): readonly Port[] {
    const found: Port[] = []
    for (const portId of this.#index.matching(networkId, query.fixedIp, query.macAddress)) {
      const held = this.#index.get(portId)
      if (held !== undefined) found.push(held.port)
    }
    return found
  }

  /** Takes in one push. @returns what whoever remembers answers must forget */
  tell(event: PortEvent): readonly DirectoryChange[] {
    const now = this.#options.clock.now()
    if (event.kind === 'deleted') {
      this.#bury(event.portId, now)
      const held = this.#index.get(event.portId)
      if (held === undefined) return []
      this.#forget(event.portId)
      return changesOf([held.port])
    }
    const { held } = event
    const { portId } = held.port
    if (this.#tombstones.has(portId)) return []
    const before = this.#index.get(portId)
    if (before !== undefined && isOlder(held, before)) return []
    if (this.#isWanted(held.port)) {
      this.#index.set(held)
      this.#toldAt.set(portId, now)
    } else this.#forget(portId)
    return changesOf(before === undefined ? [held.port] : [before.port, held.port])
  }

  /**
   * Takes in all ports of some parts, as a fetch that began at `fetchedAt` found them.
   * @returns what has changed against what was held of parts that were covered before
   */
  merge(
    parts: readonly Part[],
    fetched: readonly NeutronPort[],
    cover: Cover,
  ): { readonly changes: readonly DirectoryChange[]; readonly changedPorts: readonly PortId[] } {
    const known = new Set<PortId>(parts.flatMap((part) => this.#portsOf(part)))
    const wereCovered = parts.filter((part) => this.cover(part) !== undefined)
    for (const part of parts) this.#covers.set(partKey(part), { part, cover })
    const differing: Port[] = []
    for (const held of fetched) {
      const { portId } = held.port
      known.delete(portId)
      const before = this.#index.get(portId)
      const isStale =
        this.#tombstones.has(portId) || (before !== undefined && isOlder(held, before))
      if (isStale || (before !== undefined && this.#wasToldSince(portId, held, before, cover)))
        continue
      this.#index.set(held)
      if (before === undefined) differing.push(held.port)
      else if (differs(before.port, held.port)) differing.push(before.port, held.port)
    }
    for (const portId of known) {
      const toldAt = this.#toldAt.get(portId) ?? -Infinity
      const before = this.#index.get(portId)
      if (before === undefined || toldAt > cover.fetchedAt - databaseLag) continue
      this.#forget(portId)
      differing.push(before.port)
      // It is no interface of the router any more, but may well be a port of its network still.
      const { networkId } = before.port
      if (!parts.some((part) => part.kind !== 'router' && isIn(before.port, part))) {
        this.#covers.delete(partKey({ kind: 'network', networkId }))
      }
    }
    const covered = differing.filter((port) => wereCovered.some((part) => isIn(port, part)))
    return {
      changes: [...changesOf(covered), ...this.#evict()],
      changedPorts: [...new Set(covered.map((port) => port.portId))],
    }
  }

  /** Stops to hold a part. */
  drop(part: Part): void {
    const portIds = this.#portsOf(part)
    this.#covers.delete(partKey(part))
    for (const portId of portIds) {
      const held = this.#index.get(portId)
      if (held !== undefined && !this.#isWanted(held.port)) this.#forget(portId)
    }
  }

  /** Without revisions a push that came after the fetch began counts more than what was fetched. */
  #wasToldSince(portId: PortId, held: NeutronPort, before: NeutronPort, cover: Cover): boolean {
    if (held.revision !== undefined && before.revision !== undefined) return false
    return (this.#toldAt.get(portId) ?? -Infinity) >= cover.fetchedAt
  }

  #portsOf(part: Part): readonly PortId[] {
    if (part.kind === 'network') return this.#index.ofNetwork(part.networkId)
    if (part.kind === 'router') return this.#index.ofRouter(part.routerId)
    return [...this.#index.all()].map((port) => port.portId)
  }

  #isWanted(port: Port): boolean {
    const { networkId } = port
    if (this.#covers.has('all')) return true
    if (this.#covers.has(partKey({ kind: 'network', networkId }))) return true
    const routerId = routerOfInterface(port)
    return routerId !== undefined && this.#covers.has(partKey({ kind: 'router', routerId }))
  }

  #forget(portId: PortId): void {
    this.#index.delete(portId)
    this.#toldAt.delete(portId)
  }

  #bury(portId: PortId, now: MonotonicMilliseconds): void {
    this.#tombstones.delete(portId)
    this.#tombstones.set(portId, now)
    for (const [oldest, buriedAt] of this.#tombstones) {
      if (now - buriedAt < tombstoneLife && this.#tombstones.size <= mostTombstones) break
      this.#tombstones.delete(oldest)
    }
  }

  /**
   * Never touches the part that was used last, however large it is. What is let go must be forgotten above too: of a port
   * that is not held, a deletion does not tell where it was.
   */
  #evict(): readonly DirectoryChange[] {
    const changes: DirectoryChange[] = []
    for (const { part } of this.#covers.values()) {
      const isOver = this.size > this.#options.maxPorts || this.#covers.size > mostParts
      if (!isOver || this.#covers.size <= 1) break
      if (part.kind === 'all') continue
      this.drop(part)
      changes.push(part)
    }
    return changes
  }
}

function isIn(port: Port, part: Part): boolean {
  if (part.kind === 'all') return true
  if (part.kind === 'network') return port.networkId === part.networkId
  return routerOfInterface(port) === part.routerId
}

/** The networks and routers that ports belong to, each once. */
function changesOf(ports: readonly Port[]): readonly DirectoryChange[] {
  const networks = new Set(ports.map((port) => port.networkId))
  const routers = new Set(ports.map(routerOfInterface).filter((id) => id !== undefined))
  return [
    ...[...networks].map((networkId) => ({ kind: 'network', networkId }) as const),
    ...[...routers].map((routerId) => ({ kind: 'router', routerId }) as const),
  ]
}
