import type { Count } from '../runtime/clock.ts'

/**
 * A map that never holds more than `max` entries and forgets those that were not read or written lately. It keeps two
 * generations: what is used moves to the younger one, and when that holds half of `max` the older one goes. So a look-up
 * costs one or two of `Map`'s, and nothing is forgotten before half of `max` other keys have been used since.
 */
export class TwoGenerationMap<Key, Value> {
  readonly #half: Count
  #young = new Map<Key, Value>()
  #old = new Map<Key, Value>()

  /** @throws RangeError when `max` is below 2 */
  constructor(max: Count) {
    if (max < 2) throw new RangeError('A TwoGenerationMap holds at least two entries')
    this.#half = Math.floor(max / 2)
  }

  /** At most `max`; an entry that moved counts twice until its older copy goes. */
  get size(): Count {
    return this.#young.size + this.#old.size
  }

  get(key: Key): Value | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: Key, value: Value): void {
    if (this.#young.size >= this.#half && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }

  /** Each entry once. */
  *entries(): Generator<readonly [Key, Value]> {
    yield* this.#young
    for (const entry of this.#old) {
      if (!this.#young.has(entry[0])) yield entry
    }
  }
}
