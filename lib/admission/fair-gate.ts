/** May a request go to a service that takes only so many at a time? If not yet, it waits for its turn here. */
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
  Seconds,
} from '../runtime/clock.ts'
import { MetadataError } from '../runtime/errors.ts'
import { hasRoomFor } from './fair-share.ts'
import { FairQueue, type FairQueueOptions, type Seat } from './fair-queue.ts'

export interface FairGateOptions extends FairQueueOptions {
  readonly clock: Clock
  /** How many may run, looked at whenever one starts; `wanted` is called when a caller has to wait. */
  readonly limit: { readonly value: Count; wanted(): void }
  /** How long a caller waits at most. */
  readonly longestWait: Milliseconds
  /** Retry-After of refused callers is 1 to so many seconds, so that they do not all come at once. */
  readonly longestRetryAfter: Seconds
  /** From 0 to 1. */
  readonly random: () => number
  readonly observer?: FairGateObserver
}

/** Why a caller did not get in. */
export type ShedReason = 'queue_full' | 'waited_too_long'

/** Callbacks for metrics. */
export interface FairGateObserver {
  /** A wait has ended, with a slot or with the guest's leaving. */
  waited(outcome: 'entered' | 'left', span: Milliseconds): void
  shed(why: ShedReason): void
}

/** Reports that the answer is not wanted any more. */
export interface Leaving {
  /** @returns the function that ends the subscription */
  onGone(left: () => void): () => void
}

interface Waiter {
  readonly seat: Seat
  readonly since: MonotonicMilliseconds
  readonly settle: (outcome: 'entered' | 'left') => void
  readonly fail: (error: MetadataError) => void
}

/**
 * A limit on what runs at the same time, with a fair queue before it. While there is room, entering is a comparison and
 * a count: no promise, no timer, nothing allocated but a seat when an instance is new. Some slots are for projects that hold
 * few, see {@link hasRoomFor}.
 */
export class FairGate {
  readonly #options: FairGateOptions
  readonly #queue: FairQueue<Waiter>
  /** All that wait, the longest wait first. */
  readonly #waiters = new Set<Waiter>()
  readonly #mayStart = (seat: Seat): boolean => this.#hasRoomFor(seat)
  #cancelTimer: Cancel | undefined

  constructor(options: FairGateOptions) {
    this.#options = options
    this.#queue = new FairQueue(options)
  }

  get running(): Count {
    return this.#queue.running
  }

  get waiting(): Count {
    return this.#queue.waiting
  }

  /** The seat of an instance; good until its request has ended. @param isPreferred puts it into the lane of more weight */
  seat(project: string, instance: string, isPreferred: boolean): Seat {
    return this.#queue.seat(project, instance, isPreferred)
  }

  /** Takes a slot if there is one. @returns whether it did; give it back with `leave` */
  tryEnter(seat: Seat): boolean {
    // What waits could not start, or it would have: no request is overtaken.
    if (!this.#hasRoomFor(seat)) return false
    this.#queue.start(seat)
    return true
  }

  /**
   * Waits for a slot, after `tryEnter` gave none.
   * @returns `entered`, to be given back with `leave`; `left` when the guest went away first
   * @throws {MetadataError} overloaded, with a time to come back
   */
  wait(seat: Seat, leaving: Leaving): Promise<'entered' | 'left'> {
    const { clock, limit, observer } = this.#options
    limit.wanted()
    return new Promise((resolve, reject) => {
      const since = clock.now()
      const finish = (): void => {
        stopListening()
        this.#waiters.delete(waiter)
        if (this.#waiters.size === 0) this.#stopTimer()
      }
      const waiter: Waiter = {
        seat,
        since,
        settle: (outcome) => {
          finish()
          observer?.waited(outcome, clock.now() - since)
          resolve(outcome)
        },
        fail: (error) => {
          finish()
          reject(error)
        },
      }
      const stopListening = leaving.onGone(() => {
        this.#queue.remove(seat, waiter)
        waiter.settle('left')
      })
      this.#waiters.add(waiter)
      this.#queue.add(seat, waiter)?.fail(this.#shed('queue_full'))
      this.#watchTime()
    })
  }

  /** Gives a slot back; whoever is next gets it. */
  leave(seat: Seat): void {
    this.#queue.finish(seat)
    if (this.#waiters.size === 0) return
    for (;;) {
      const waiter = this.#queue.next(this.#mayStart)
      if (waiter === undefined) return
      this.#queue.start(waiter.seat)
      waiter.settle('entered')
    }
  }

  #hasRoomFor(seat: Seat): boolean {
    const { limit } = this.#options
    const { running } = this.#queue
    return hasRoomFor({ limit: limit.value, running, ofProject: seat.projectRunning })
  }

  #shed(why: ShedReason): MetadataError {
    const { observer, random, longestRetryAfter } = this.#options
    observer?.shed(why)
    return new MetadataError('overloaded', 'Cannot forward: too many requests to compute', {
      retryAfter: 1 + Math.floor(random() * longestRetryAfter),
      details: { why, running: this.running, waiting: this.waiting },
    })
  }

  #watchTime(): void {
    const [oldest] = this.#waiters
    if (oldest === undefined || this.#cancelTimer !== undefined) return
    const { clock, longestWait } = this.#options
    this.#cancelTimer = clock.schedule(oldest.since + longestWait - clock.now(), () => {
      this.#cancelTimer = undefined
      for (const waiter of this.#waiters) {
        if (clock.now() - waiter.since < longestWait) break
        this.#queue.remove(waiter.seat, waiter)
        waiter.fail(this.#shed('waited_too_long'))
      }
      this.#watchTime()
    })
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }
}
