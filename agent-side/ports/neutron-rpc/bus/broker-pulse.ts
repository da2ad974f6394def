import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'

/** How a broker is probed. */
export interface BrokerPulseOptions {
  readonly clock: Clock
  /** Between two queries. 0 turns it off. */
  readonly interval: Milliseconds
}

/** A broker that can be probed, and what to call when it does not answer. */
export interface ProbedBroker {
  /** Resolves with its answer. A rejection is no answer, and the link reports it by itself. */
  readonly probe: () => Promise<unknown>
  /** @param since when the last query left that it answered */
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
  #broker: ProbedBroker | undefined
  #next: Cancel | undefined
  #confirmedAt: MonotonicMilliseconds = 0
  /** Of the query that waits for its answer. */
  #probedAt: MonotonicMilliseconds | undefined
  #missed: Count = 0

  constructor(options: BrokerPulseOptions) {
    this.#options = options
  }

  /** A broker has just answered, and may be probed from now on. */
  begin(broker: ProbedBroker): void {
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
    this.#probedAt = undefined
  }

  #later(): void {
    this.#next = this.#options.clock.schedule(this.#options.interval / 2, () => this.#beat())
  }

  #beat(): void {
    const { clock, interval } = this.#options
    const broker = this.#broker
    if (broker === undefined) return
    if (this.#probedAt !== undefined) this.#missed += 1
    else if (clock.now() - this.#confirmedAt >= interval) this.#probe(broker)
    this.#later()
    if (this.#missed === missedBySilent) broker.silent(this.#confirmedAt)
    if (this.#missed < missedByGone) return
    this.end()
    broker.gone()
  }

  #probe(broker: ProbedBroker): void {
    const probedAt = this.#options.clock.now()
    this.#probedAt = probedAt
    this.#missed = 0
    broker.probe().then(
      () => this.#answered(broker, probedAt),
      () => undefined,
    )
  }

  #answered(broker: ProbedBroker, probedAt: MonotonicMilliseconds): void {
    if (broker !== this.#broker || this.#probedAt !== probedAt) return
    const wasSilent = this.#missed >= missedBySilent
    this.#probedAt = undefined
    this.#missed = 0
    this.#confirmedAt = probedAt
    if (wasSilent) broker.back()
  }
}
