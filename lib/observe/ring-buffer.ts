import type { Count } from '../runtime/clock.ts'

/** Keeps the latest values and forgets the oldest: adding one is a place in a list. */
export class RingBuffer<Value> {
  readonly #values: Value[] = []
  readonly #size: Count
  #next = 0

  /** @param size how many to hold */
  constructor(size: Count) {
    this.#size = size
  }

  add(value: Value): void {
    this.#values[this.#next] = value
    this.#next = (this.#next + 1) % this.#size
  }

  find(isWanted: (value: Value) => boolean): Value | undefined {
    return this.newest(this.#values.length).find(isWanted)
  }

  /** So many at most, the newest first. */
  newest(count: Count): readonly Value[] {
    const { length } = this.#values
    const found: Value[] = []
    for (let back = 1; back <= Math.min(count, length); back += 1) {
      const value = this.#values[(this.#next - back + this.#size) % this.#size]
      if (value !== undefined) found.push(value)
    }
    return found
  }
}
