import type { Milliseconds } from './clock.ts'

/** From 0 to below 1: `Math.random`, but for tests. */
export type Random = () => number

/** A span that many have in common, a tenth shorter to a tenth longer, so that they do not all act at once. */
export function jittered(span: Milliseconds, random: Random = Math.random): Milliseconds {
  return span * (0.9 + random() * 0.2)
}

/** Pauses that double from a first to a longest, each with jitter, so that hundreds of retries do not come at once. */
export class Backoff {
  readonly #first: Milliseconds
  readonly #longest: Milliseconds
  readonly #random: Random
  readonly #least: number
  #nominal: Milliseconds

  /** @param least share of its nominal length that each pause has at least */
  constructor(
    first: Milliseconds,
    longest: Milliseconds,
    random: Random = Math.random,
    least = 0.5,
  ) {
    this.#first = first
    this.#longest = longest
    this.#random = random
    this.#least = least
    this.#nominal = Math.min(first, longest)
  }

  /** The length of the next pause before jitter. */
  get nominal(): Milliseconds {
    return this.#nominal
  }

  /** True once the pauses grow no more. */
  get isLongest(): boolean {
    return this.#nominal >= this.#longest
  }

  /** A pause after which the next one is as long. */
  same(): Milliseconds {
    return this.#nominal * (this.#least + this.#random() * (1 - this.#least))
  }

  /** A pause after which the next one is twice as long. */
  next(): Milliseconds {
    const pause = this.same()
    this.#nominal = Math.min(this.#nominal * 2, this.#longest)
    return pause
  }

  reset(): void {
    this.#nominal = Math.min(this.#first, this.#longest)
  }
}
