import { LRUCache } from 'lru-cache'
import type { Count, Milliseconds, MonotonicMilliseconds } from '../../../lib/clock.ts'
import type { NetworkId, RouterId } from '../../../lib/ids.ts'
import type { NetworksAnswer } from '../port-directory.ts'
import type { RouterInterface } from './schema.ts'

/** The networks of each router in a list of interfaces. */
export function networksByRouter(
  interfaces: readonly RouterInterface[],
): ReadonlyMap<RouterId, readonly NetworkId[]> {
  const networks = new Map<RouterId, Set<NetworkId>>()
  for (const { routerId, networkId } of interfaces) {
    const known = networks.get(routerId)
    if (known === undefined) networks.set(routerId, new Set([networkId]))
    else known.add(networkId)
  }
  return new Map([...networks].map(([routerId, known]) => [routerId, [...known].sort()]))
}

interface AllRouters {
  readonly asOf: MonotonicMilliseconds
  readonly routers: ReadonlyMap<RouterId, readonly NetworkId[]>
  readonly networks: ReadonlySet<NetworkId>
}

/** What we know of routers: answers about single ones, and, where the cloud is small enough, a copy of all interfaces. */
export class RouterCopies {
  readonly #held: LRUCache<RouterId, NetworksAnswer>
  readonly #changed: (routerId: RouterId) => void
  #all: AllRouters | undefined

  constructor(heldRouters: Count, changed: (routerId: RouterId) => void) {
    this.#held = new LRUCache({ max: heldRouters })
    this.#changed = changed
  }

  /**
   * @returns what is held and not older than the age. A router that the copy of all does not know has no
   * network, as of that copy.
   */
  get(
    routerId: RouterId,
    now: MonotonicMilliseconds,
    age: Milliseconds,
  ): NetworksAnswer | undefined {
    const held = this.#held.get(routerId)
    if (held !== undefined && now - held.asOf <= age) return held
    if (this.#all === undefined || now - this.#all.asOf > age) return undefined
    return { networkIds: this.#all.routers.get(routerId) ?? [], asOf: this.#all.asOf }
  }

  hasAll(now: MonotonicMilliseconds, age: Milliseconds): boolean {
    return this.#all !== undefined && now - this.#all.asOf <= age
  }

  /** Every network with a router interface, where that is known. */
  get networks(): ReadonlySet<NetworkId> {
    return this.#all?.networks ?? new Set()
  }

  set(routerId: RouterId, answer: NetworksAnswer): void {
    const before = this.#held.peek(routerId)
    if (before !== undefined && before.asOf > answer.asOf) return
    this.#held.set(routerId, answer)
    if (before !== undefined && before.networkIds.join() !== answer.networkIds.join()) {
      this.#changed(routerId)
    }
  }

  setAll(routers: ReadonlyMap<RouterId, readonly NetworkId[]>, asOf: MonotonicMilliseconds): void {
    const gone = [...this.#held.keys()].filter((routerId) => !routers.has(routerId))
    for (const routerId of gone) this.set(routerId, { networkIds: [], asOf })
    for (const [routerId, networkIds] of routers) this.set(routerId, { networkIds, asOf })
    this.#all = { asOf, routers, networks: new Set([...routers.values()].flat()) }
  }

  clear(): void {
    this.#held.clear()
    this.#all = undefined
  }
}
