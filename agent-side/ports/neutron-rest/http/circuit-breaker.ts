import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'

/** How long to keep quiet. */
export interface HoldOffOptions {
  readonly clock: Clock
  /** From 0 to 1, not to 1 itself. */
  readonly random: () => number
  /** After the first failure; doubled by each further one. */
  readonly first: Milliseconds
  readonly longest: Milliseconds
}

/**
 * Keeps quiet for a while after a failure, so that a service in trouble is not asked by every guest. While it
 * holds off, questions fail at once with what went wrong last.
 */
export class HoldOff {
  readonly #options: HoldOffOptions
  #failures = 0
  #until: MonotonicMilliseconds = Number.NEGATIVE_INFINITY
  #last: MetadataError | undefined

  constructor(options: HoldOffOptions) {
    this.#options = options
  }

  get failures(): number {
    return this.#failures
  }

  get last(): MetadataError | undefined {
    return this.#last
  }

  /** How long to keep quiet from now on; 0 when asking is allowed. */
  get remaining(): Milliseconds {
    return Math.max(0, this.#until - this.#options.clock.now())
  }

  /** @throws MetadataError what went wrong last, while it holds off */
  check(): void {
    if (this.#last === undefined || this.remaining === 0) return
    const { code, message, details } = this.#last
    throw new MetadataError(code, message, { cause: this.#last, details })
  }

  /** Questions that fail together count once: their failures all fall into the time that the first one began. */
  failed(error: MetadataError, atLeast: Milliseconds = 0): void {
    const { clock, random, first, longest } = this.#options
    this.#last = error
    if (this.remaining > 0) return
    const span = Math.min(longest, first * 2 ** Math.min(this.#failures, 20))
    this.#failures += 1
    const jittered = span * (0.5 + random() / 2)
    this.#until = clock.now() + Math.min(longest, Math.max(jittered, atLeast))
  }

  succeeded(): void {
    this.#failures = 0
    this.#until = Number.NEGATIVE_INFINITY
    this.#last = undefined
  }
}
