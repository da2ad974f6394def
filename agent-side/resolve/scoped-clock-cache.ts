/** What is remembered of a place in a scope? Read for every request, so it makes no text as a key. */
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { Scope } from '../../lib/identity/scope.ts'

export interface ScopedClockCacheOptions<Value> {
  readonly clock: Clock
  readonly max: Count
  readonly ttl: Milliseconds
  /** Called with each value that is no longer there, for whatever reason but another in its place. */
  readonly onGone?: (value: Value) => void
}

/** One remembered value and where it stands. */
interface CacheSlot<Value> {
  readonly scope: Scope
  readonly place: string
  readonly detail: string
  value: Value
  endsAt: MonotonicMilliseconds
  /** CLOCK reference bit: used since the hand last passed. */
  isUsed: boolean
  /** Its number in the ring. */
  at: number
}

/** What a place holds: nearly always one value, so a map is only made for a second detail. */
type Slot<Value> = CacheSlot<Value> | Map<string, CacheSlot<Value>>
type Places<Value> = Map<string, Slot<Value>>

/**
 * Values by scope, place in it and a detail of that place, such as an address and the MAC it was seen with. It holds at most `max`,
 * each for `ttl`, and gives up first what was not used lately: a hand goes round and takes the next value that was not used since
 * it came by last. Unlike a list in order of use, that costs a look-up nothing but a mark.
 */
export class ScopedClockCache<Value> {
  readonly #clock: Clock
  readonly #max: Count
  readonly #ttl: Milliseconds
  readonly #onGone: ((value: Value) => void) | undefined
  /** Apart, since ids of the two kinds may be the same text. */
  readonly #routers = new Map<string, Places<Value>>()
  readonly #networks = new Map<string, Places<Value>>()
  readonly #ring: CacheSlot<Value>[] = []
  #hand = 0

  /** @throws RangeError when `max` is below 1 */
  constructor({ clock, max, ttl, onGone }: ScopedClockCacheOptions<Value>) {
    if (!(max >= 1)) throw new RangeError('A memory holds at least one value')
    this.#clock = clock
    this.#max = max
    this.#ttl = ttl
    this.#onGone = onGone
  }

  /** Counts values that are too old as well, until they are looked up. */
  get size(): Count {
    return this.#ring.length
  }

  get(scope: Scope, place: string, detail: string): Value | undefined {
    const held = this.#find(scope, place, detail)
    if (held === undefined) return undefined
    if (held.endsAt < this.#clock.now()) {
      this.#remove(held)
      return undefined
    }
    held.isUsed = true
    return held.value
  }

  has(scope: Scope, place: string, detail: string): boolean {
    return this.get(scope, place, detail) !== undefined
  }

  /** @param from when its age begins, if not now */
  set(scope: Scope, place: string, detail: string, value: Value, from = this.#clock.now()): void {
    const endsAt = from + this.#ttl
    const known = this.#find(scope, place, detail)
    if (known !== undefined) {
      known.value = value
      known.endsAt = endsAt
      return
    }
    const held: CacheSlot<Value> = { scope, place, detail, value, endsAt, isUsed: false, at: 0 }
    this.#addToRing(held)
    this.#addToPlace(held)
  }

  /** @returns whether there was something, however old */
  delete(scope: Scope, place: string, detail: string): boolean {
    const held = this.#find(scope, place, detail)
    if (held === undefined) return false
    this.#remove(held)
    return true
  }

  #find(scope: Scope, place: string, detail: string): CacheSlot<Value> | undefined {
    const places =
      scope.kind === 'router'
        ? this.#routers.get(scope.routerId)
        : this.#networks.get(scope.networkId)
    const slot = places?.get(place)
    if (slot === undefined) return undefined
    if (slot instanceof Map) return slot.get(detail)
    return slot.detail === detail ? slot : undefined
  }

  #addToPlace(held: CacheSlot<Value>): void {
    const { scope, place, detail } = held
    const scopes = scope.kind === 'router' ? this.#routers : this.#networks
    const id = scope.kind === 'router' ? scope.routerId : scope.networkId
    let places = scopes.get(id)
    if (places === undefined) scopes.set(id, (places = new Map()))
    const slot = places.get(place)
    if (slot === undefined) places.set(place, held)
    else if (slot instanceof Map) slot.set(detail, held)
    else places.set(place, new Map([slot, held].map((one) => [one.detail, one])))
  }

  #addToRing(held: CacheSlot<Value>): void {
    if (this.#ring.length < this.#max) {
      held.at = this.#ring.push(held) - 1
      return
    }
    const given = this.#unwanted()
    held.at = given.at
    this.#ring[held.at] = held
    this.#removeFromPlace(given)
    this.#onGone?.(given.value)
  }

  /** The value to give up next. Every step but the last takes back a mark that a look-up made. */
  #unwanted(): CacheSlot<Value> {
    const now = this.#clock.now()
    for (;;) {
      if (this.#hand >= this.#ring.length) this.#hand = 0
      const held = this.#ring[this.#hand] as CacheSlot<Value>
      this.#hand += 1
      if (!held.isUsed || held.endsAt < now) return held
      held.isUsed = false
    }
  }

  #remove(held: CacheSlot<Value>): void {
    this.#removeFromPlace(held)
    const last = this.#ring.pop()
    if (last !== undefined && last !== held) {
      last.at = held.at
      this.#ring[held.at] = last
    }
    this.#onGone?.(held.value)
  }

  #removeFromPlace({ scope, place, detail }: CacheSlot<Value>): void {
    const scopes = scope.kind === 'router' ? this.#routers : this.#networks
    const id = scope.kind === 'router' ? scope.routerId : scope.networkId
    const places = scopes.get(id)
    const slot = places?.get(place)
    if (places === undefined || slot === undefined) return
    if (slot instanceof Map) slot.delete(detail)
    if (slot instanceof Map && slot.size > 0) return
    places.delete(place)
    if (places.size === 0) scopes.delete(id)
  }
}
