/** How long does a compute endpoint take to answer, lately? */
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { RingBuffer } from '../../lib/observe/ring-buffer.ts'

interface Answer {
  readonly at: MonotonicMilliseconds
  readonly span: Milliseconds
}

const remembered: Count = 16
const fewest: Count = 3
const lately: Milliseconds = 300_000
/** cloud-init gives up after 10 s, and makes 28 requests in one boot. */
const slow: Milliseconds = 3_000

/** The latest answers of one endpoint. */
export class UpstreamPace {
  readonly #clock: Clock
  readonly #answers = new RingBuffer<Answer>(remembered)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param span to the head of an answer, or until the guest left */
  note(span: Milliseconds): void {
    this.#answers.add({ at: this.#clock.now(), span })
  }

  /** The median of the latest answers, when it is so long that guests give up; `undefined` otherwise. */
  get slowness(): Milliseconds | undefined {
    const since = this.#clock.now() - lately
    const spans = this.#answers
      .newest(remembered)
      .filter(({ at }) => at >= since)
      .map(({ span }) => span)
      .toSorted((one, other) => one - other)
    const median = spans[Math.floor((spans.length - 1) / 2)] ?? 0
    return spans.length >= fewest && median >= slow ? median : undefined
  }
}
