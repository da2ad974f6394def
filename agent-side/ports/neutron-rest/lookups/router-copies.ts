import { LRUCache } from 'lru-cache'
import type { Count, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import type { NetworkId, RouterId } from '../../../../lib/identity/ids.ts'
import {
  networksOf,
  type InterfacesAnswer,
  type RouterInterface,
} from '../../directory/port-directory.ts'
import type { RouterPort } from '../neutron/schema.ts'

/** The interfaces of each router in a list of ports. */
export function interfacesByRouter(
  ports: readonly RouterPort[],
): ReadonlyMap<RouterId, readonly RouterInterface[]> {
  const byRouter = new Map<RouterId, RouterInterface[]>()
  for (const { routerId, networkId, portId } of ports) {
    const known = byRouter.get(routerId)
    const found = { networkId, ...(portId !== undefined && { portId }) }
    if (known === undefined) byRouter.set(routerId, [found])
    else known.push(found)
  }
  return byRouter
}

function textOf({ interfaces }: InterfacesAnswer): string {
  const texts = interfaces.map(({ networkId, portId = '' }) => `${networkId} ${portId}`)
  return texts.toSorted().join()
}

interface AllRouters {
  readonly asOf: MonotonicMilliseconds
  readonly routers: ReadonlyMap<RouterId, readonly RouterInterface[]>
  readonly networks: ReadonlySet<NetworkId>
}

/** What we know of routers: answers about single ones, and, where the cloud is small enough, a copy of all interfaces. */
export class RouterCopies {
  readonly #held: LRUCache<RouterId, InterfacesAnswer>
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
  ): InterfacesAnswer | undefined {
    const held = this.#held.get(routerId)
    if (held !== undefined && now - held.asOf < age) return held
    if (this.#all === undefined || now - this.#all.asOf >= age) return undefined
    return { interfaces: this.#all.routers.get(routerId) ?? [], asOf: this.#all.asOf }
  }

  hasAll(now: MonotonicMilliseconds, age: Milliseconds): boolean {
    return this.#all !== undefined && now - this.#all.asOf < age
  }

  /** Every network with a router interface, where that is known. */
  get networks(): ReadonlySet<NetworkId> {
    return this.#all?.networks ?? new Set()
  }

  set(routerId: RouterId, answer: InterfacesAnswer): void {
    const before = this.#held.peek(routerId)
    if (before !== undefined && before.asOf > answer.asOf) return
    this.#held.set(routerId, answer)
    if (before !== undefined && textOf(before) !== textOf(answer)) {
      this.#changed(routerId)
    }
  }

  setAll(
    routers: ReadonlyMap<RouterId, readonly RouterInterface[]>,
    asOf: MonotonicMilliseconds,
  ): void {
    const gone = [...this.#held.keys()].filter((routerId) => !routers.has(routerId))
    for (const routerId of gone) this.set(routerId, { interfaces: [], asOf })
    for (const [routerId, interfaces] of routers) this.set(routerId, { interfaces, asOf })
    this.#all = { asOf, routers, networks: new Set(networksOf([...routers.values()].flat())) }
  }

  clear(): void {
    this.#held.clear()
    this.#all = undefined
  }
}
