import { Backoff, type Random } from '../runtime/backoff.ts'
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'

export interface HealthOptions {
  readonly clock: Clock
  /** How many 502, 503 or 504 in a row make an upstream look down. A connection that fails does so by itself. */
  readonly failuresToDown: Count
  /** How long it is left alone the first time; twice as long each time, up to the longest. */
  readonly firstPause: Milliseconds
  readonly longestPause: Milliseconds
  /** Spreads the return of many agents to one upstream. */
  readonly random: Random
}

/** Why an upstream looks down. */
export type UpstreamFailure = 'connect' | 'answer'

/**
 * What requests have shown of one upstream. No request is sent just to find out: when its pause is over, one request at a
 * time is sent to see.
 */
export class UpstreamHealth {
  readonly #options: HealthOptions
  #failures: Count = 0
  readonly #backoff: Backoff
  #downUntil: MonotonicMilliseconds = 0
  #isDown = false
  #isProbed = false

  constructor(options: HealthOptions) {
    this.#options = options
    this.#backoff = new Backoff(options.firstPause, options.longestPause, options.random)
  }

  /** `due`: down, and waiting for a request that shows whether it still is. */
  get state(): 'up' | 'due' | 'down' {
    if (!this.#isDown) return 'up'
    return this.#options.clock.now() >= this.#downUntil && !this.#isProbed ? 'due' : 'down'
  }

  get downUntil(): MonotonicMilliseconds {
    return this.#downUntil
  }

  /** Call when a request is about to be sent. @returns the function to call when it has ended, however it did */
  begin(): () => void {
    if (this.state !== 'due') return () => undefined
    this.#isProbed = true
    return () => {
      this.#isProbed = false
    }
  }

  /** @returns true when this changed its state */
  succeeded(): boolean {
    this.#failures = 0
    this.#backoff.reset()
    const wasDown = this.#isDown
    this.#isDown = false
    return wasDown
  }

  /** @returns true when this changed its state */
  failed(how: UpstreamFailure): boolean {
    const { clock, failuresToDown } = this.#options
    this.#failures += 1
    const wasDown = this.#isDown
    if (how === 'answer' && this.#failures < failuresToDown && !wasDown) return false
    // Requests that were on their way when it went down must not push its return further and further away.
    if (wasDown && clock.now() < this.#downUntil) return false
    this.#isDown = true
    this.#downUntil = clock.now() + this.#backoff.next()
    return !wasDown
  }
}
