import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import type { QueryOptions } from '../../directory/port-directory.ts'
import { unlessAborted } from '../../../../lib/runtime/cancellation.ts'

/** An answer and how old it is. */
export interface DatedAnswer<Answer> {
  readonly answer: Answer
  /** When the query left. */
  readonly asOf: MonotonicMilliseconds
}

/** What it is made with. */
export interface QueryBatchOptions<Answer> {
  readonly clock: Clock
  /** One query about all keys. A key without an entry in the answer is a defect. */
  readonly send: (
    keys: readonly string[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ) => Promise<ReadonlyMap<string, Answer>>
  /** A batch that gathers leaves at the latest after this time, even when the one before has no answer yet. */
  readonly longestGathering: Milliseconds
  /** A caller of `cached` takes the answer of a query that left less than this ago. */
  readonly maxAge: Milliseconds
  readonly mostKeys: Count
  readonly mostWaiting: Count
}

interface Batch<Answer> {
  readonly keys: Map<string, Promise<DatedAnswer<Answer>>>
  readonly answered: Promise<DatedAnswer<ReadonlyMap<string, Answer>>>
  readonly leave: () => void
  readonly controller: AbortController
  /** Infinite until it leaves. */
  leftAt: MonotonicMilliseconds
  waiting: Count
}

/**
 * Makes one query of many. Callers in the same tick, or while an earlier query is on its way, are gathered
 * into the next one. A caller of `cached` also takes the answer of a query that has just left; a caller of
 * `fresh` only of one that has not left. A query that no caller waits for any more is given up.
 */
export class QueryBatch<Answer> {
  readonly #options: QueryBatchOptions<Answer>
  readonly #onTheirWay = new Set<Batch<Answer>>()
  #gathering: Batch<Answer> | undefined
  #waiting: Count = 0

  constructor(options: QueryBatchOptions<Answer>) {
    this.#options = options
  }

  /** @throws what `send` throws; the signal's reason when it was aborted; `directory_unavailable` when too many wait */
  async query(key: string, { signal, freshness }: QueryOptions): Promise<DatedAnswer<Answer>> {
    signal.throwIfAborted()
    if (this.#waiting >= this.#options.mostWaiting) {
      const message = `Cannot query Neutron: ${this.#waiting} wait for an answer already`
      throw new MetadataError('directory_unavailable', message)
    }
    const batch = (freshness === 'cached' ? this.#carrying(key) : undefined) ?? this.#join(key)
    const shared = batch.keys.get(key)
    if (shared === undefined) throw new TypeError('A batch lost one of its keys')
    batch.waiting += 1
    this.#waiting += 1
    try {
      return await unlessAborted(shared, signal)
    } finally {
      batch.waiting -= 1
      this.#waiting -= 1
      if (batch.waiting === 0) {
        batch.controller.abort(new Error('No caller waits for the answer any more'))
      }
    }
  }

  #carrying(key: string): Batch<Answer> | undefined {
    const { clock, maxAge } = this.#options
    for (const batch of this.#onTheirWay) {
      const isNew = clock.now() - batch.leftAt < maxAge
      if (isNew && batch.keys.has(key) && !batch.controller.signal.aborted) return batch
    }
    return undefined
  }

  #join(key: string): Batch<Answer> {
    if (this.#gathering?.controller.signal.aborted === true) this.#gathering = undefined
    this.#gathering ??= this.#open()
    const batch = this.#gathering
    if (!batch.keys.has(key)) {
      const one = batch.answered.then(({ answer, asOf }) => {
        const own = answer.get(key)
        if (own === undefined) throw new TypeError('A query was answered without one of its keys')
        return { answer: own, asOf }
      })
      // Every caller may have left before it fails.
      one.catch(() => undefined)
      batch.keys.set(key, one)
    }
    if (batch.keys.size >= this.#options.mostKeys) batch.leave()
    return batch
  }

  #open(): Batch<Answer> {
    const { clock, longestGathering } = this.#options
    let depart = (): void => undefined
    const departure = new Promise<void>((resolve) => {
      depart = resolve
    })
    const keys = new Map<string, Promise<DatedAnswer<Answer>>>()
    const controller = new AbortController()
    const cancel = clock.schedule(longestGathering, depart)
    const leave = (): void => {
      cancel()
      if (this.#gathering === batch) this.#gathering = undefined
      depart()
    }
    const batch: Batch<Answer> = {
      keys,
      controller,
      leave,
      leftAt: Infinity,
      waiting: 0,
      answered: departure.then(() => this.#send(batch)),
    }
    batch.answered.catch(() => undefined)
    // Those of the same tick come together; with a query on its way, its end sends the next.
    if (this.#onTheirWay.size === 0) setImmediate(leave)
    return batch
  }

  async #send(batch: Batch<Answer>): Promise<DatedAnswer<ReadonlyMap<string, Answer>>> {
    const { clock, send } = this.#options
    if (this.#gathering === batch) this.#gathering = undefined
    const { signal } = batch.controller
    signal.throwIfAborted()
    this.#onTheirWay.add(batch)
    try {
      const asOf = clock.now()
      batch.leftAt = asOf
      return { answer: await send([...batch.keys.keys()], asOf, signal), asOf }
    } finally {
      this.#onTheirWay.delete(batch)
      // Not at once: those who wake up from this answer may have further queries for the next batch.
      const next = this.#gathering
      if (next !== undefined) setImmediate(next.leave)
    }
  }
}
