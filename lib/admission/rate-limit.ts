import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import { TwoGenerationMap } from './two-generation-map.ts'

/** So many requests in any stretch of so much time. */
export interface RateWindow {
  readonly span: Milliseconds
  readonly limit: Count
}

/** The two windows of Neutron's rate limiting; both count the same requests. */
export interface RateLimits {
  readonly base: RateWindow
  readonly burst: RateWindow
}

export interface RateLimiterOptions {
  readonly clock: Clock
  readonly limits: RateLimits
  /** How many keys are remembered; the ones that were quiet longest are forgotten first. */
  readonly max: Count
}

/** A key that was refused. */
export interface Offender {
  readonly key: string
  /** Refusals since it was first remembered. */
  readonly refused: Count
}

const smallestRing: Count = 8

/** When the latest requests of one key were let through, up to as many as the larger limit. */
class Passed {
  refused: Count = 0
  #times = new Float64Array(smallestRing)
  #next = 0
  #count: Count = 0

  /** When the `n`th last one passed, counting from 1; `undefined` when there were not so many. */
  nthLast(n: Count): MonotonicMilliseconds | undefined {
    if (n > this.#count) return undefined
    const { length } = this.#times
    return this.#times[(this.#next - n + length) % length]
  }

  /** @param most how many of them a caller will read */
  add(time: MonotonicMilliseconds, most: Count): void {
    if (this.#count === this.#times.length && this.#times.length < most) this.#grow(most)
    this.#times[this.#next] = time
    this.#next = (this.#next + 1) % this.#times.length
    this.#count = Math.min(this.#count + 1, this.#times.length)
  }

  #grow(most: Count): void {
    const times = new Float64Array(Math.min(most, this.#times.length * 2))
    times.set(this.#times.subarray(this.#next))
    times.set(this.#times.subarray(0, this.#next), this.#times.length - this.#next)
    this.#times = times
    this.#next = this.#count
  }
}

/**
 * Lets so many requests of a key through in any window of time, exactly: it knows when each of the last ones passed, so
 * the wait it returns is the true one. Only requests that pass count. Neutron's haproxy counts refused ones too, which locks
 * out for ever whoever polls steadily a little too fast; here such a poller gets its share.
 *
 * A key costs 8 bytes for each request that the larger limit allows, at most.
 * @see neutron/conf/agent/metadata/config.py, METADATA_RATE_LIMITING_OPTS
 */
export class RateLimiter {
  readonly #clock: Clock
  readonly #passed: TwoGenerationMap<string, Passed>
  #limits: RateLimits
  #most: Count

  constructor(options: RateLimiterOptions) {
    this.#clock = options.clock
    this.#limits = options.limits
    this.#most = mostOf(options.limits)
    this.#passed = new TwoGenerationMap(options.max)
  }

  /** How many keys are remembered. */
  get size(): Count {
    return this.#passed.size
  }

  /** Other limits from now on. What passed before counts against them, as far as it was remembered for the old ones. */
  reconfigure(limits: RateLimits): void {
    this.#limits = limits
    this.#most = mostOf(limits)
  }

  /** How long until a request of this key would pass; 0 when one would now. Counts nothing. */
  waitOf(key: string): Milliseconds {
    const passed = this.#passed.get(key)
    return passed === undefined ? 0 : this.#waitOf(passed)
  }

  /** Counts a request that passes. */
  count(key: string): void {
    this.#of(key).add(this.#clock.now(), this.#most)
  }

  /** Lets a request through and counts it, or refuses it. @returns 0, or how long until one would pass */
  admit(key: string): Milliseconds {
    const passed = this.#of(key)
    const wait = this.#waitOf(passed)
    if (wait === 0) passed.add(this.#clock.now(), this.#most)
    else passed.refused += 1
    return wait
  }

  /** Who was refused most often, among those remembered. Looks at every key: for operators. */
  offenders(count: Count): readonly Offender[] {
    const refused: Offender[] = []
    for (const [key, passed] of this.#passed.entries()) {
      if (passed.refused > 0) refused.push({ key, refused: passed.refused })
    }
    return refused.sort((one, other) => other.refused - one.refused).slice(0, count)
  }

  #of(key: string): Passed {
    let passed = this.#passed.get(key)
    if (passed === undefined) {
      passed = new Passed()
      this.#passed.set(key, passed)
    }
    return passed
  }

  #waitOf(passed: Passed): Milliseconds {
    const { base, burst } = this.#limits
    const now = this.#clock.now()
    return Math.max(waitIn(base, passed, now), waitIn(burst, passed, now))
  }
}

function mostOf({ base, burst }: RateLimits): Count {
  return Math.max(base.limit, burst.limit)
}

/** A window is full while the request that many before the next one is still inside it. */
function waitIn(window: RateWindow, passed: Passed, now: MonotonicMilliseconds): Milliseconds {
  const oldest = passed.nthLast(window.limit)
  return oldest === undefined ? 0 : Math.max(0, oldest + window.span - now)
}
