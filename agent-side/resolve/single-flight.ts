import { Cancellation, unlessAborted, type Cancellable } from '../../lib/cancellation.ts'
import type { Count } from '../../lib/clock.ts'
import { MetadataError } from '../../lib/errors.ts'

interface Flight<Value> {
  readonly promise: Promise<Value>
  readonly cancellation: Cancellation
  waiting: Count
}

/**
 * One question per key, however many ask at the same time. Each caller leaves when its own signal is aborted; the
 * question itself is given up when nobody waits for it any more.
 */
export class SingleFlight<Value> {
  readonly #flights = new Map<string | symbol, Flight<Value>>()
  readonly #max: Count

  /** @param max how many questions may be open at once */
  constructor(max: Count) {
    this.#max = max
  }

  get size(): Count {
    return this.#flights.size
  }

  /** @throws {MetadataError} overloaded when too many questions are open */
  join(
    key: string | symbol,
    asker: Cancellable,
    start: (cancellation: Cancellation) => Value | Promise<Value>,
  ): Value | Promise<Value> {
    const open = this.#flights.get(key)
    if (open !== undefined) return this.#wait(key, open, asker.signal)
    if (this.#flights.size >= this.#max) {
      throw new MetadataError('overloaded', 'Cannot ask the port directory: too many questions', {
        details: { openQuestions: this.#flights.size },
      })
    }
    const cancellation = new Cancellation()
    const promise = start(cancellation)
    // Directories that hold their own copy answer at once, and need none of the rest.
    if (!(promise instanceof Promise)) return promise
    const flight: Flight<Value> = { promise, cancellation, waiting: 0 }
    this.#flights.set(key, flight)
    const landed = (): void => this.#remove(key, flight)
    promise.then(landed, landed)
    return this.#wait(key, flight, asker.signal)
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

  #remove(key: string | symbol, flight: Flight<Value>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
