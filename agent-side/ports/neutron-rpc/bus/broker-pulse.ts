import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'

/** How a broker is asked for a sign of life. */
export interface BrokerPulseOptions {
  readonly clock: Clock
  /** Between two questions. 0 asks none. */
  readonly interval: Milliseconds
}

/** What can be asked, and whom to report that it does not answer. */
export interface AskedBroker {
  /** Resolves with its answer. A rejection is no answer, and the link reports it by itself. */
  readonly ask: () => Promise<unknown>
  /** @param since when the last question left that it answered */
  readonly silent: (since: MonotonicMilliseconds) => void
  /** A silent one has answered after all: it was busy. */
  readonly back: () => void
  /** It has been silent for longer than a busy one is. */
  readonly gone: () => void
}

/** Beats without an answer, of which two make an interval. */
const missedBySilent: Count = 2
const missedByGone: Count = 8

/**
 * Notices within two intervals that a broker has fallen silent, and within five that it will not come back. Silence is counted in beats and not in time: while this process was
 * stopped or busy, answers may lie there unread.
 */
export class BrokerPulse {
  readonly #options: BrokerPulseOptions
  #broker: AskedBroker | undefined
  #next: Cancel | undefined
  #confirmedAt: MonotonicMilliseconds = 0
  /** Of the question that waits for its answer. */
  #askedAt: MonotonicMilliseconds | undefined
  #missed: Count = 0

  constructor(options: BrokerPulseOptions) {
    this.#options = options
  }

  /** A broker has just answered, and may be asked from now on. */
  begin(broker: AskedBroker): void {
    this.end()
    if (this.#options.interval === 0) return
    this.#broker = broker
    this.#confirmedAt = this.#options.clock.now()
    this.#later()
  }

  end(): void {
    this.#next?.()
    this.#next = undefined
    this.#broker = undefined
    this.#askedAt = undefined
  }

  #later(): void {
    this.#next = this.#options.clock.schedule(this.#options.interval / 2, () => this.#beat())
  }

  #beat(): void {
    const { clock, interval } = this.#options
    const broker = this.#broker
    if (broker === undefined) return
    if (this.#askedAt !== undefined) this.#missed += 1
    else if (clock.now() - this.#confirmedAt >= interval) this.#ask(broker)
    this.#later()
    if (this.#missed === missedBySilent) broker.silent(this.#confirmedAt)
    if (this.#missed < missedByGone) return
    this.end()
    broker.gone()
  }

  #ask(broker: AskedBroker): void {
    const askedAt = this.#options.clock.now()
    this.#askedAt = askedAt
    this.#missed = 0
    broker.ask().then(
      () => this.#answered(broker, askedAt),
      () => undefined,
    )
  }

  #answered(broker: AskedBroker, askedAt: MonotonicMilliseconds): void {
    if (broker !== this.#broker || this.#askedAt !== askedAt) return
    const wasSilent = this.#missed >= missedBySilent
    this.#askedAt = undefined
    this.#missed = 0
    this.#confirmedAt = askedAt
    if (wasSilent) broker.back()
  }
}
