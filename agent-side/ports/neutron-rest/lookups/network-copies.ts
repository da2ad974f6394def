import { LRUCache } from 'lru-cache'
import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import type { NetworkId } from '../../../../lib/identity/ids.ts'
import type { NetworkCopy } from './network-copy.ts'

/** What it is made with. */
export interface NetworkCopiesOptions {
  readonly clock: Clock
  /** Ports over all networks; the network that was used the longest time ago goes first. */
  readonly heldPorts: Count
  /** A newer copy differs from the older one. */
  readonly changed: (networkId: NetworkId) => void
}

interface CachedCopy {
  readonly copy: NetworkCopy
  usedAt: MonotonicMilliseconds
}

const mostRemembered: Count = 1_000

/** The networks we have a copy of, bounded by their ports, with the ages of the copies and of their last use. */
export class NetworkCopies {
  readonly #options: NetworkCopiesOptions
  readonly #held: LRUCache<NetworkId, CachedCopy>
  /** Copies made before this are known to be overtaken. */
  readonly #overtaken = new LRUCache<NetworkId, MonotonicMilliseconds>({ max: mostRemembered })

  constructor(options: NetworkCopiesOptions) {
    this.#options = options
    this.#held = new LRUCache({
      maxSize: options.heldPorts,
      // An empty network takes room too.
      sizeCalculation: ({ copy }) => copy.size + 1,
    })
  }

  /** How much is held. */
  get held(): { readonly ports: Count; readonly networks: Count } {
    const networks = this.#held.size
    return { ports: this.#held.calculatedSize - networks, networks }
  }

  /** @returns the copy of whatever age; reading it counts as use */
  get(networkId: NetworkId): NetworkCopy | undefined {
    const held = this.#held.get(networkId)
    if (held === undefined) return undefined
    held.usedAt = this.#options.clock.now()
    return held.copy
  }

  /** @returns the copy without counting it as use */
  peek(networkId: NetworkId): NetworkCopy | undefined {
    return this.#held.peek(networkId)?.copy
  }

  /** Keeps a copy unless a newer one is held, and reports when the two differ. */
  set(networkId: NetworkId, copy: NetworkCopy): void {
    const { clock, changed } = this.#options
    const before = this.#held.peek(networkId)
    if (before !== undefined && before.copy.asOf > copy.asOf) return
    const overtaken = this.#overtaken.get(networkId)
    if (overtaken !== undefined && overtaken > copy.asOf) return
    this.#held.set(networkId, { copy, usedAt: before?.usedAt ?? clock.now() })
    if (before !== undefined && !before.copy.isSameAs(copy)) changed(networkId)
  }

  /** Something newer was seen that contradicts the copy. */
  overtake(networkId: NetworkId, asOf: MonotonicMilliseconds): void {
    this.#overtaken.set(networkId, Math.max(asOf, this.#overtaken.get(networkId) ?? asOf))
    const held = this.#held.peek(networkId)
    if (held === undefined || held.copy.asOf > asOf) return
    this.#held.delete(networkId)
    this.#options.changed(networkId)
  }

  /**
   * Networks that are in use and older than the age, so that they can be queried along with another one.
   * `mostPorts` is counted by the copies we have.
   */
  *expired(age: Milliseconds, usedWithin: Milliseconds, mostPorts: Count): Generator<NetworkId> {
    const now = this.#options.clock.now()
    let ports = 0
    for (const [networkId, { copy, usedAt }] of this.#held.entries()) {
      if (now - usedAt > usedWithin) return
      if (now - copy.asOf < age) continue
      ports += copy.size
      if (ports > mostPorts) return
      yield networkId
    }
  }

  clear(): void {
    this.#held.clear()
    this.#overtaken.clear()
  }
}
