import type { Milliseconds } from './clock.ts'

/** Pauses that double from a first to a longest, each with jitter, so that hundreds of retries do not come at once. */
export class Backoff {
  readonly #first: Milliseconds
  readonly #longest: Milliseconds
  #pause: Milliseconds

  constructor(first: Milliseconds, longest: Milliseconds) {
    this.#first = first
    this.#longest = longest
    this.#pause = first
  }

  /** The next pause, between three quarters and all of its nominal length. */
  next(): Milliseconds {
    const pause = this.#pause
    this.#pause = Math.min(pause * 2, this.#longest)
    return pause * (0.75 + Math.random() / 4)
  }

  /** True once the pauses grow no more. */
  get isLongest(): boolean {
    return this.#pause >= this.#longest
  }

  reset(): void {
    this.#pause = this.#first
  }
}
