/** How do the requests of all workers come to whoever watches? */
import type { EventFeed } from '../../lib/http/event-feed.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { WorkerPool } from '../supervisor/worker-pool.ts'
import type { RequestRecord } from '../worker/shared/protocol.ts'

export interface RequestPollOptions {
  readonly pool: Pick<WorkerPool, 'recentRequests'>
  readonly feed: Pick<EventFeed<RequestEvent>, 'publish' | 'missed'>
  readonly clock: Clock
}

/** An operator sees a request so much later. */
const pause: Milliseconds = 200

/**
 * Queries the workers for their latest requests while a watcher is connected. Workers remember these anyway, so that watching costs guests nothing,
 * and a worker reports no more than it is queried for.
 */
export class RequestPoll {
  readonly #options: RequestPollOptions
  /** What each worker sent last, by its process. */
  #known: ReadonlyMap<number, Count> = new Map()
  #cancel: Cancel | undefined
  #isOn = false

  constructor(options: RequestPollOptions) {
    this.#options = options
  }

  /** Begins with requests that end from now on, or ends. */
  turn(isOn: boolean): void {
    this.#isOn = isOn
    this.#cancel?.()
    this.#known = new Map()
    if (isOn) void this.#look()
  }

  async #look(): Promise<void> {
    const { pool, feed, clock } = this.#options
    const known = this.#known
    const answers = await pool.recentRequests(known)
    // Whoever began to watch again since then has a look of their own.
    if (!this.#isOn || known !== this.#known) return
    const next = new Map(known)
    for (const [pid, { last, missed, records }] of answers) {
      next.set(pid, last)
      for (const record of records) feed.publish(recordEvent(record))
      if (missed > 0) feed.missed(missed)
    }
    this.#known = next
    this.#cancel = clock.schedule(pause, () => void this.#look())
  }
}

function recordEvent({ at, span, ...record }: RequestRecord): RequestEvent {
  const { upstream: _, ...shown } = record
  return {
    at: new Date(at).toISOString(),
    ...shown,
    span: Math.round(span * 1_000) / 1_000,
  }
}
