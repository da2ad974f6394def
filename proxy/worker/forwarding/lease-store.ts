/** Which signed header set may this worker use for a guest, at this moment? */
import type { Clock, Count, MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import { longestSilence, type LeaseUpstream } from '../../../lib/wire/lease-messages.ts'
import type { GuestPlace } from '../shared/guest-identity.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'

/** A signed header set for one lookup key, and until when it may be used. */
export interface Lease {
  readonly id: number
  readonly place: GuestPlace
  readonly sourceMac: MacAddress
  /** Which instance the guest is, and whose. */
  readonly instance: string
  readonly project: string
  readonly endsAt: MonotonicMilliseconds
  readonly upstreams: readonly LeaseUpstream[]
}

/**
 * The leases of a worker, one per address of a scope. It gives out none that is over, none for another MAC, and none at all
 * while nothing comes from the agent: then no revocation would have come either. Every doubt costs one hop more.
 */
export class LeaseStore {
  readonly #clock: Clock
  readonly #max: Count
  readonly #byPlace = new Map<GuestPlace, Lease>()
  readonly #byId = new Map<number, Lease>()
  #receivedAt: MonotonicMilliseconds = -Infinity

  /** @param max leases held at one time; the oldest goes first */
  constructor(clock: Clock, max: Count) {
    this.#clock = clock
    this.#max = max
  }

  get size(): Count {
    return this.#byPlace.size
  }

  /** True while the agent's revocations would arrive. Looked at with each use: a process that was stopped has run no timer. */
  get isFresh(): boolean {
    return this.#clock.now() - this.#receivedAt < longestSilence
  }

  /** The agent has reported that it is there. After a silence nothing from before it counts. */
  heartbeatCame(): void {
    if (!this.isFresh) this.dropAll()
    this.#receivedAt = this.#clock.now()
  }

  find(place: GuestPlace, sourceMac: MacAddress): Lease | undefined {
    const lease = this.#byPlace.get(place)
    if (lease === undefined || lease.sourceMac !== sourceMac) return undefined
    if (!this.isFresh) {
      this.dropAll()
      return undefined
    }
    if (this.#clock.now() < lease.endsAt) return lease
    this.#remove(lease)
    return undefined
  }

  add(lease: Lease): void {
    const before = this.#byPlace.get(lease.place)
    if (before !== undefined) this.#remove(before)
    if (this.#byPlace.size >= this.#max) {
      const [oldest] = this.#byPlace.values()
      if (oldest !== undefined) this.#remove(oldest)
    }
    this.#byPlace.set(lease.place, lease)
    this.#byId.set(lease.id, lease)
  }

  /** A guest has connected. Another MAC than a lease is for ends the lease. */
  noteGuest(place: GuestPlace, sourceMac: MacAddress): void {
    const lease = this.#byPlace.get(place)
    if (lease !== undefined && lease.sourceMac !== sourceMac) this.#remove(lease)
  }

  /** @returns false when there is none of that id */
  drop(id: number): boolean {
    const lease = this.#byId.get(id)
    if (lease !== undefined) this.#remove(lease)
    return lease !== undefined
  }

  /** @param scope as `scopeText` writes it */
  dropScope(scope: string): void {
    for (const lease of this.#byPlace.values()) {
      if (lease.place.startsWith(`${scope} `)) this.#remove(lease)
    }
  }

  dropAll(): void {
    this.#byPlace.clear()
    this.#byId.clear()
  }

  /** The connection to the agent is gone. */
  lost(): void {
    this.#receivedAt = -Infinity
    this.dropAll()
  }

  #remove(lease: Lease): void {
    this.#byPlace.delete(lease.place)
    this.#byId.delete(lease.id)
  }
}
