import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'

export interface HealthOptions {
  readonly clock: Clock
  /** How many 502, 503 or 504 in a row make an upstream look down. A connection that fails does so by itself. */
  readonly failuresToDown: Count
  /** How long it is left alone the first time; twice as long each time, up to the longest. */
  readonly firstPause: Milliseconds
  readonly longestPause: Milliseconds
  /** From 0 to 1; spreads the return of many agents to one upstream. */
  readonly random: () => number
}

/** Why an upstream looks down. */
export type UpstreamFailure = 'connect' | 'answer'

/**
 * What requests have shown of one upstream. Nothing is asked just to find out: when its pause is over, one request at a
 * time is sent to see.
 */
export class UpstreamHealth {
  readonly #options: HealthOptions
  #failures: Count = 0
  #pauses: Count = 0
  #downUntil: MonotonicMilliseconds = 0
  #isDown = false
  #isProbed = false

  constructor(options: HealthOptions) {
    this.#options = options
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
    this.#pauses = 0
    const wasDown = this.#isDown
    this.#isDown = false
    return wasDown
  }

  /** @returns true when this changed its state */
  failed(how: UpstreamFailure): boolean {
    const { clock, failuresToDown, firstPause, longestPause, random } = this.#options
    this.#failures += 1
    const wasDown = this.#isDown
    if (how === 'answer' && this.#failures < failuresToDown && !wasDown) return false
    // Requests that were on their way when it went down must not push its return further and further away.
    if (wasDown && clock.now() < this.#downUntil) return false
    const pause = Math.min(longestPause, firstPause * 2 ** this.#pauses)
    this.#pauses = Math.min(this.#pauses + 1, 30)
    this.#isDown = true
    this.#downUntil = clock.now() + pause * (0.75 + random() / 2)
    return !wasDown
  }
}
