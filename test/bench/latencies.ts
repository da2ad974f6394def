import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'

/** Every measured time of a run, for percentiles that are exact. */
export class Latencies {
  #values: Float64Array
  #count: Count = 0

  constructor(expected: Count) {
    this.#values = new Float64Array(Math.max(16, expected))
  }

  add(value: Milliseconds): void {
    if (this.#count === this.#values.length) {
      const larger = new Float64Array(this.#values.length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#count] = value
    this.#count += 1
  }

  get count(): Count {
    return this.#count
  }

  /** @param share between 0 and 1 @returns null when nothing was measured */
  percentile(share: number): Milliseconds | null {
    if (this.#count === 0) return null
    const sorted = this.#values.slice(0, this.#count).sort()
    return sorted[Math.min(this.#count - 1, Math.floor(share * this.#count))] ?? null
  }
}
