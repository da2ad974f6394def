import { Backoff, type Random } from '../../../../lib/runtime/backoff.ts'
import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'

/** How long to keep quiet. */
export interface CircuitBreakerOptions {
  readonly clock: Clock
  readonly random: Random
  /** After the first failure; doubled by each further one. */
  readonly first: Milliseconds
  readonly longest: Milliseconds
}

/**
 * Keeps quiet for a while after a failure, so that a service in trouble is not queried for every guest. While it
 * holds off, queries fail at once with what went wrong last.
 */
export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions
  readonly #backoff: Backoff
  #failures = 0
  #until: MonotonicMilliseconds = Number.NEGATIVE_INFINITY
  #last: MetadataError | undefined

  constructor(options: CircuitBreakerOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.first, options.longest, options.random)
  }

  get failures(): number {
    return this.#failures
  }

  get last(): MetadataError | undefined {
    return this.#last
  }

  /** How long to keep quiet from now on; 0 when queries are allowed. */
  get remaining(): Milliseconds {
    return Math.max(0, this.#until - this.#options.clock.now())
  }

  /** @throws MetadataError what went wrong last, while it holds off */
  check(): void {
    if (this.#last === undefined || this.remaining === 0) return
    const { code, message, details } = this.#last
    throw new MetadataError(code, message, { cause: this.#last, details })
  }

  /** Queries that fail together count once: their failures all fall into the time that the first one began. */
  failed(error: MetadataError, atLeast: Milliseconds = 0): void {
    const { clock, longest } = this.#options
    this.#last = error
    if (this.remaining > 0) return
    this.#failures += 1
    this.#until = clock.now() + Math.min(longest, Math.max(this.#backoff.next(), atLeast))
  }

  succeeded(): void {
    this.#failures = 0
    this.#backoff.reset()
    this.#until = Number.NEGATIVE_INFINITY
    this.#last = undefined
  }
}
