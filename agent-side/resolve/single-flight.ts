import { Cancellation, unlessAborted, type Cancellable } from '../../lib/runtime/cancellation.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'

interface Flight<Value> {
  readonly promise: Promise<Value>
  readonly cancellation: Cancellation
  readonly group: string
  waiting: Count
}

/** Which lookup it is, and whose. */
export interface FlightName {
  readonly flight: string | symbol
  readonly group: string
}

/** How many lookups may be open at once. */
export interface SingleFlightLimits {
  readonly max: Count
  /** Of one group, so that a group with ever new keys leaves room for the others. */
  readonly maxPerGroup: Count
}

/** Retry-After of refused callers is 1 to so many seconds, so that they do not all come at once. */
const longestRetryAfter = 3

/**
 * One query per key, however many callers need it at the same time. Each caller leaves when its own signal is aborted; the
 * lookup itself is given up when no caller waits for it any more.
 */
export class SingleFlight<Value> {
  readonly #flights = new Map<string | symbol, Flight<Value>>()
  readonly #openOf = new Map<string, Count>()
  readonly #limits: SingleFlightLimits

  constructor(limits: SingleFlightLimits) {
    this.#limits = limits
  }

  get size(): Count {
    return this.#flights.size
  }

  /**
   * @param nameOf called only while there is, or comes to be, something to wait for
   * @throws {MetadataError} overloaded when too many lookups are open
   */
  join(
    nameOf: () => FlightName,
    caller: Cancellable,
    start: (cancellation: Cancellation) => Value | Promise<Value>,
  ): Value | Promise<Value> {
    if (this.#flights.size > 0) {
      const { flight, group } = nameOf()
      const open = this.#flights.get(flight)
      if (open !== undefined) return this.#wait(flight, open, caller.signal)
      this.#checkRoom(group)
    }
    const cancellation = new Cancellation()
    const promise = start(cancellation)
    // Directories that hold their own copy answer at once, and need none of the rest.
    if (!(promise instanceof Promise)) return promise
    const { flight: key, group } = nameOf()
    const flight: Flight<Value> = { promise, cancellation, group, waiting: 0 }
    this.#flights.set(key, flight)
    this.#openOf.set(group, (this.#openOf.get(group) ?? 0) + 1)
    const landed = (): void => this.#remove(key, flight)
    promise.then(landed, landed)
    return this.#wait(key, flight, caller.signal)
  }

  async #wait(key: string | symbol, flight: Flight<Value>, signal: AbortSignal): Promise<Value> {
    flight.waiting += 1
    try {
      return await unlessAborted(flight.promise, signal)
    } finally {
      flight.waiting -= 1
      if (flight.waiting === 0) {
        this.#remove(key, flight)
        if (signal.aborted) flight.cancellation.cancel(signal.reason as Error)
      }
    }
  }

  #checkRoom(group: string): void {
    const { max, maxPerGroup } = this.#limits
    const ofGroup = this.#openOf.get(group) ?? 0
    if (this.#flights.size < max && ofGroup < maxPerGroup) return
    throw new MetadataError(
      'overloaded',
      'Cannot query the port directory: too many queries are open',
      {
        retryAfter: 1 + Math.floor(Math.random() * longestRetryAfter),
        details: { openQueries: this.#flights.size, group, ofGroup },
      },
    )
  }

  #remove(key: string | symbol, flight: Flight<Value>): void {
    if (this.#flights.get(key) !== flight) return
    this.#flights.delete(key)
    const left = (this.#openOf.get(flight.group) ?? 1) - 1
    if (left === 0) this.#openOf.delete(flight.group)
    else this.#openOf.set(flight.group, left)
  }
}
