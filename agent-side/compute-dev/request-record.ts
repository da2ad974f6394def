import type { IncomingHttpHeaders } from 'node:http'
import type { Count, EpochMilliseconds } from '../../lib/runtime/clock.ts'

/** One request as it arrived and how it was answered. Holds signatures: for development only. */
export interface RecordedRequest {
  readonly at: EpochMilliseconds
  /** From 1: requests of one connection have the same number. */
  readonly connection: Count
  readonly method: string
  readonly target: string
  readonly headers: IncomingHttpHeaders
  /** Names and values in turn, as they came, repeats included. */
  readonly rawHeaders: readonly string[]
  /** 0 when the connection was ended instead. */
  readonly status: number
}

/** The last requests, so that tests and the demo see what reached the compute service. */
export class RequestRecord {
  readonly #limit: Count
  #requests: RecordedRequest[] = []
  #connections: Count = 0

  constructor(limit: Count) {
    this.#limit = limit
  }

  get requests(): readonly RecordedRequest[] {
    return [...this.#requests]
  }

  get connections(): Count {
    return this.#connections
  }

  /** @returns the number of the new connection */
  connected(): Count {
    this.#connections += 1
    return this.#connections
  }

  add(request: RecordedRequest): void {
    this.#requests.push(request)
    if (this.#requests.length > this.#limit) this.#requests = this.#requests.slice(-this.#limit / 2)
  }

  clear(): void {
    this.#requests = []
  }
}
