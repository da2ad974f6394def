import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'

export interface AdaptiveLimitOptions {
  readonly clock: Clock
  readonly min: Count
  readonly max: Count
  /** Where to begin, from `min` to `max`. */
  readonly start: Count
}

/** How much slower than usual answers may be before there is too much at once. */
const tolerance = 2
/** How long answers are watched before the limit moves, and how many it takes. */
const window: Milliseconds = 1_000
const windowSamples: Count = 10
/** What is left after a window of slow answers, and after an "overloaded" answer. */
const slowFactor = 0.9
const overloadedFactor = 0.7
/** How fast "usual" follows: quickly down, since a service shows its real speed only when it is not busy; slowly up. */
const followDown = 1 / 16
const followUp = 1 / 512

/** A service that has too much to do, or a proxy before it, answers with one of these. */
export function isOverloadStatus(status: number): boolean {
  return status === 429 || status === 503 || status === 504
}

/** What one kind of request usually takes. */
interface Usual {
  span: Milliseconds
  samples: Count
}

/**
 * How many requests a service can take at the same time, found out by sending them: additive increase while more are wanted
 * and answers come as fast as usual, multiplicative decrease when they slow down or the service answers that it is
 * overloaded. What is usual is known for each kind of request by itself, since a mix of quick and slow ones
 * would look like a service that changes its speed.
 * @see https://www.rfc-editor.org/rfc/rfc5681 §3.1, for increase and decrease
 */
export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions
  readonly #usual = new Map<string, Usual>()
  #exact: number
  #value: Count
  #isWanted = false
  #ratios = 0
  #samples: Count = 0
  #windowAt: MonotonicMilliseconds
  #cutAt: MonotonicMilliseconds = Number.NEGATIVE_INFINITY

  /** @throws RangeError when `start` lies outside of `min` and `max` */
  constructor(options: AdaptiveLimitOptions) {
    const { min, max, start, clock } = options
    if (min < 1 || start < min || start > max) {
      throw new RangeError('An adaptive limit needs 1 <= min <= start <= max')
    }
    this.#options = options
    this.#exact = start
    this.#value = start
    this.#windowAt = clock.now()
  }

  get value(): Count {
    return this.#value
  }

  /** A request had to wait: more would be used if it were allowed. */
  wanted(): void {
    this.#isWanted = true
  }

  /**
   * A request was answered in a way that shows how busy the service is.
   * @param kind one of a small closed set
   * @param span from sending it to the head of its answer
   */
  answered(kind: string, span: Milliseconds): void {
    this.#ratios += this.#ratioOf(kind, span)
    this.#samples += 1
    const now = this.#options.clock.now()
    if (this.#samples < windowSamples || now - this.#windowAt < window) return
    const isSlow = this.#ratios / this.#samples > tolerance
    const isWanted = this.#isWanted
    this.#beginWindow(now)
    // A limit that no load reaches shows nothing, in either direction.
    if (!isWanted) return
    if (isSlow) this.#set(this.#exact * slowFactor)
    else this.#set(this.#exact + Math.max(1, Math.sqrt(this.#exact)))
  }

  /**
   * The service refused for overload, or did not answer in time. Counts once for all requests that were on their way together.
   * @param began when the request was sent
   */
  overloaded(began: MonotonicMilliseconds): void {
    if (began < this.#cutAt) return
    const now = this.#options.clock.now()
    this.#cutAt = now
    this.#set(this.#exact * overloadedFactor)
    this.#beginWindow(now)
  }

  #set(limit: number): void {
    const { min, max } = this.#options
    this.#exact = Math.min(max, Math.max(min, limit))
    this.#value = Math.floor(this.#exact)
  }

  #beginWindow(now: MonotonicMilliseconds): void {
    this.#windowAt = now
    this.#samples = 0
    this.#ratios = 0
    this.#isWanted = false
  }

  /** How many times as long as usual. */
  #ratioOf(kind: string, span: Milliseconds): number {
    const usual = this.#usual.get(kind)
    if (usual === undefined) {
      this.#usual.set(kind, { span, samples: 1 })
      return 1
    }
    const ratio = usual.span === 0 ? 1 : span / usual.span
    usual.samples += 1
    // A plain average at first: one odd first answer must not count as usual for long.
    const isNew = usual.samples <= windowSamples
    const follow = isNew ? 1 / usual.samples : ratio < 1 ? followDown : followUp
    usual.span += (span - usual.span) * follow
    return ratio
  }
}
