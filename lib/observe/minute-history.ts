/** How did the last hour go? Read off counters that are there anyway, once a minute: a request pays nothing for it. */
import type { Cancel, Clock, Count, Milliseconds } from '../runtime/clock.ts'
import { RingBuffer } from './ring-buffer.ts'
import type { Registry } from './metrics.ts'

/** One minute of requests, on `/history`. */
export interface Minute {
  /** When it was over, in ISO 8601. */
  readonly at: string
  /** Requests by class of status: `2xx`, and `none` for those that got no answer. */
  readonly answers: Readonly<Record<string, Count>>
  /** Half of the requests were faster; absent without requests. An upper bound, as exact as the buckets of the histogram. */
  readonly median?: Milliseconds
  /** 99 of 100 were faster. */
  readonly p99?: Milliseconds
}

export interface MinuteHistoryOptions {
  readonly clock: Clock
  /** Where both metrics are when a minute is over. */
  readonly registry: () => Registry | Promise<Registry>
  /** A counter with the label `status`. */
  readonly counter: string
  /** A histogram in seconds, without labels. */
  readonly histogram: string
}

const minute: Milliseconds = 60_000
const kept: Count = 60

/** Totals since the start: what a minute is the difference of. */
interface Totals {
  readonly answers: ReadonlyMap<string, Count>
  /** Requests at most so slow, by the upper bound in milliseconds. */
  readonly faster: ReadonlyMap<number, Count>
}

/** Remembers the last hour, minute by minute. */
export class MinuteHistory {
  readonly #options: MinuteHistoryOptions
  readonly #minutes = new RingBuffer<Minute>(kept)
  #before: Totals | undefined
  #cancel: Cancel | undefined

  constructor(options: MinuteHistoryOptions) {
    this.#options = options
  }

  /** The oldest first. */
  get minutes(): readonly Minute[] {
    return this.#minutes.newest(kept).toReversed()
  }

  /** Begins to look once a minute. */
  start(): void {
    this.#before = { answers: new Map(), faster: new Map() }
    this.#wait()
  }

  close(): void {
    this.#before = undefined
    this.#cancel?.()
  }

  #wait(): void {
    this.#cancel = this.#options.clock.schedule(minute, () => void this.#look())
  }

  async #look(): Promise<void> {
    const totals = await this.#totals()
    if (this.#before === undefined) return
    const at = new Date(this.#options.clock.wallTime()).toISOString()
    this.#minutes.add(minuteOf(at, this.#before, totals))
    this.#before = totals
    this.#wait()
  }

  async #totals(): Promise<Totals> {
    const { registry: current, counter, histogram } = this.#options
    const registry = await current()
    const answers = new Map<string, Count>()
    for (const { labels, value } of (await registry.getSingleMetric(counter)?.get())?.values ??
      []) {
      const status = String(labels['status'])
      answers.set(status, (answers.get(status) ?? 0) + value)
    }
    const faster = new Map<number, Count>()
    for (const { labels, value } of (await registry.getSingleMetric(histogram)?.get())?.values ??
      []) {
      const bound = labels['le']
      if (bound !== undefined)
        faster.set(bound === '+Inf' ? Infinity : Number(bound) * 1_000, value)
    }
    return { answers, faster }
  }
}

function minuteOf(at: string, before: Totals, now: Totals): Minute {
  const answers = Object.fromEntries(
    [...grown(before.answers, now.answers)].filter(([, count]) => count > 0),
  )
  const faster = grown(before.faster, now.faster)
  const median = quantile(faster, 0.5)
  const p99 = quantile(faster, 0.99)
  return { at, answers, ...(median !== undefined && { median }), ...(p99 !== undefined && { p99 }) }
}

/** A sum shrinks when the counters of an ended worker leave it. No request was undone by that. */
function grown<Key>(
  before: ReadonlyMap<Key, Count>,
  now: ReadonlyMap<Key, Count>,
): ReadonlyMap<Key, Count> {
  return new Map(
    Array.from(now, ([key, count]) => [key, Math.max(0, count - (before.get(key) ?? 0))]),
  )
}

/** The upper bound of the bucket with that share; beyond the last bound, the last bound. */
function quantile(faster: ReadonlyMap<number, Count>, share: number): Milliseconds | undefined {
  const all = faster.get(Infinity) ?? 0
  if (all === 0) return undefined
  const bounds = [...faster].filter(([bound]) => bound !== Infinity)
  const [bound] = bounds.find(([, count]) => count >= all * share) ?? bounds.at(-1) ?? []
  return bound
}
