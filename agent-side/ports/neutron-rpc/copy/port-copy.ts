import type { Clock, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import type { NetworkId, PortId, RouterId } from '../../../../lib/identity/ids.ts'
import { routerOfInterface, type NeutronPort } from '../../directory/neutron-port.ts'
import type {
  DirectoryChange,
  Port,
  PortQuery,
  RouterInterface,
} from '../../directory/port-directory.ts'
import type { Cover } from './cover.ts'
import { NeutronPortIndex } from './port-index.ts'
import { isOlder, PushMemory } from './push-memory.ts'
import type { PortEvent } from '../bus/versioned-object.ts'

/** What was fetched whole: a network, the interfaces of a router, or everything. */
export type CopyPart =
  | { readonly kind: 'network'; readonly networkId: NetworkId }
  | { readonly kind: 'router'; readonly routerId: RouterId }
  | { readonly kind: 'all' }

/** Bounds of {@link PortCopy}. */
export interface PortCopyOptions {
  readonly clock: Clock
  /** Ports held at most; the networks that were not queried for longest go first. */
  readonly maxPorts: Count
}

/** A fetch may be answered by a database that lags behind the one a push was read from. */
const databaseLag: Milliseconds = 5_000
const mostPushes: Count = 100_000
/** The era of a cover that nothing keeps right. */
const noEra = -1
const mostParts: Count = 50_000

function partKey(part: CopyPart): string {
  if (part.kind === 'all') return 'all'
  return part.kind === 'network' ? `network/${part.networkId}` : `router/${part.routerId}`
}

/** True when two reports of a port differ in what identity depends on. */
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

/** A port that is held, and the order of the last query that had left when it was reported. */
interface Row extends NeutronPort {
  readonly order: number
}

/**
 * Parts of Neutron's ports, kept right by pushes and by fetching again. Deletions are final, as ids are never
 * given out twice; of two reports the one with the higher revision counts, since pushes of several servers and answers
 * overtake each other. A part counts from the moment its query leaves: what is pushed before the answer comes is put into it then.
 * @see neutron/agent/resource_cache.py
 */
export class PortCopy {
  readonly #options: PortCopyOptions
  readonly #index = new NeutronPortIndex<Row>()
  /** In the order of last use. */
  readonly #covers = new Map<string, { readonly part: CopyPart; readonly cover: Cover }>()
  readonly #pushes: PushMemory
  #lastOrder = 0

  constructor(options: PortCopyOptions) {
    this.#options = options
    this.#pushes = new PushMemory(options.clock, mostPushes)
  }

  get size(): Count {
    return this.#index.size
  }

  get networks(): Count {
    return this.#index.networks
  }

  get parts(): Count {
    return this.#covers.size
  }

  all(): Iterable<Port> {
    return this.#index.all()
  }

  /** The better of what is known of the part itself and of everything. Counts as use. */
  cover(part: CopyPart): Cover | undefined {
    const key = partKey(part)
    const own = this.#covers.get(key)
    if (own !== undefined) {
      this.#covers.delete(key)
      this.#covers.set(key, own)
    }
    return this.#coverOf(part)
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

  /** There is another connection: what was pushed over those before does not contradict what is fetched from now on. */
  beginEra(): void {
    this.#pushes.beginEra()
  }

  /** A query for parts leaves. It ends with {@link merge} or {@link abandon}. */
  left(era: number): Cover {
    this.#lastOrder += 1
    const cover = { fetchedAt: this.#options.clock.now(), order: this.#lastOrder, era }
    this.#pushes.left(cover)
    return cover
  }

  /** A query that left has no answer. */
  abandon(cover: Cover): void {
    this.#pushes.settled(cover)
  }

  /** Takes in one push. @returns what caches of answers must drop */
  apply(event: PortEvent): readonly DirectoryChange[] {
    const isNews = this.#pushes.note(event)
    if (event.kind === 'deleted') {
      const held = this.#index.get(event.portId)
      if (held === undefined) return []
      this.#index.delete(event.portId)
      return changesOf([held.port])
    }
    const { held } = event
    const before = this.#index.get(held.port.portId)
    if (!isNews || (before !== undefined && isOlder(held, before))) return []
    this.#keep(held, this.#lastOrder)
    return changesOf(before === undefined ? [held.port] : [before.port, held.port])
  }

  /**
   * Takes in all ports of some parts, as the answer to a query that {@link left} has them.
   * @returns what has changed against what was held of parts that were covered before
   */
  merge(
    parts: readonly CopyPart[],
    fetched: readonly NeutronPort[],
    cover: Cover,
  ): { readonly changes: readonly DirectoryChange[]; readonly changedPorts: readonly PortId[] } {
    this.#pushes.settled(cover)
    const since = cover.fetchedAt - databaseLag
    const known = new Set<PortId>(parts.flatMap((part) => this.#portsOf(part)))
    const wereCovered = parts.filter((part) => this.cover(part) !== undefined)
    const isWhole = this.#pushes.remembersSince(cover.fetchedAt)
    for (const part of parts) {
      this.#covers.set(partKey(part), { part, cover: isWhole ? cover : { ...cover, era: noEra } })
    }
    const differing: Port[] = []
    const keep = (held: NeutronPort): void => {
      const before = this.#index.get(held.port.portId)
      this.#keep(held, cover.order)
      if (before === undefined) differing.push(held.port)
      else if (differs(before.port, held.port)) differing.push(before.port, held.port)
    }
    for (const held of fetched) {
      known.delete(held.port.portId)
      const latest = this.#latest(held, cover)
      if (latest !== undefined) keep(latest)
    }
    for (const held of this.#pushes.updatedSince(since)) {
      const { portId } = held.port
      if (!parts.some((part) => isIn(held.port, part))) continue
      known.delete(portId)
      if (this.#index.get(portId) === undefined) keep(held)
    }
    for (const portId of known) {
      const before = this.#index.get(portId)
      if (before === undefined || before.order > cover.order) continue
      this.#index.delete(portId)
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
  drop(part: CopyPart): void {
    const portIds = this.#portsOf(part)
    this.#covers.delete(partKey(part))
    for (const portId of portIds) {
      const held = this.#index.get(portId)
      if (held !== undefined && !this.#isWanted(held.port)) this.#index.delete(portId)
    }
  }

  #coverOf(part: CopyPart): Cover | undefined {
    const own = this.#covers.get(partKey(part))
    const whole = this.#covers.get('all')
    if (own === undefined || whole === undefined) return (own ?? whole)?.cover
    return own.cover.order >= whole.cover.order ? own.cover : whole.cover
  }

  /** What is to be held of a port that was fetched; `undefined` for what is held already, or nothing. */
  #latest(fetched: NeutronPort, cover: Cover): NeutronPort | undefined {
    const { portId } = fetched.port
    const before = this.#index.get(portId)
    const pushed = this.#pushes.get(portId)
    if (pushed !== undefined) {
      const { held } = pushed
      if (held === undefined) return undefined
      // Without revisions a push that came after the query left counts more than what was fetched.
      const isComparable = fetched.revision !== undefined && held.revision !== undefined
      const isLater = isComparable
        ? isOlder(fetched, held)
        : this.#pushes.isSince(pushed, cover.fetchedAt)
      if (isLater) return held
    }
    if (before !== undefined) return isOlder(fetched, before) ? undefined : fetched
    // A later query may have found that it is there no more.
    const isGone = partsOf(fetched.port).some(
      (part) => (this.#coverOf(part)?.order ?? 0) > cover.order,
    )
    return isGone ? undefined : fetched
  }

  #portsOf(part: CopyPart): readonly PortId[] {
    if (part.kind === 'network') return this.#index.ofNetwork(part.networkId)
    if (part.kind === 'router') return this.#index.ofRouter(part.routerId)
    return [...this.#index.all()].map((port) => port.portId)
  }

  #isWanted(port: Port): boolean {
    return this.#covers.has('all') || partsOf(port).some((part) => this.#covers.has(partKey(part)))
  }

  #keep(held: NeutronPort, order: number): void {
    if (this.#isWanted(held.port)) this.#index.set({ ...held, order })
    else this.#index.delete(held.port.portId)
  }

  /**
   * Never touches the part that was used last, however large it is. What is let go must be forgotten above too: of a port
   * that is not held, a deletion does not show where it was.
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

/** The parts that a port is in, but for everything. */
function partsOf(port: Port): readonly CopyPart[] {
  const routerId = routerOfInterface(port)
  const network = { kind: 'network', networkId: port.networkId } as const
  return routerId === undefined ? [network] : [network, { kind: 'router', routerId }]
}

function isIn(port: Port, part: CopyPart): boolean {
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
