/** What does the HTTP client report of a request at one agent? */
import type { AnswerHandler } from '../../../lib/fast-http/answer-handler.ts'
import type { FlatFields } from '../../../lib/fast-http/fields.ts'
import type { MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import type { AgentEndpoint } from './agent-endpoint.ts'

/** The request of which attempts are made. One that was left reports nothing. */
export interface AttemptOwner {
  /** @returns false when nothing more is to be read for now */
  headCame(attempt: AgentAttempt, status: number, fields: FlatFields): boolean
  /** @returns false for a pause */
  dataCame(chunk: Buffer): boolean
  ended(): void
  failed(attempt: AgentAttempt, cause: Error): void
}

/** The request at one agent, as the HTTP client sees it. */
export class AgentAttempt implements AnswerHandler {
  readonly endpoint: AgentEndpoint
  readonly isAfresh: boolean
  readonly requestedAt: MonotonicMilliseconds
  isSent = false
  hasAnswerBegun = false
  /** Then the receiver may have sent it on. */
  hasHeadCome = false
  /** `undefined` once it was left. */
  #owner: AttemptOwner | undefined
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  readonly #probeEnded: () => void

  constructor(
    owner: AttemptOwner,
    endpoint: AgentEndpoint,
    isAfresh: boolean,
    requestedAt: MonotonicMilliseconds,
  ) {
    this.#owner = owner
    this.endpoint = endpoint
    this.isAfresh = isAfresh
    this.requestedAt = requestedAt
    this.#probeEnded = endpoint.health.begin()
  }

  resume(): void {
    this.#resume?.()
  }

  /** Nothing of it is wanted any more, and its connection is closed. */
  abort(): void {
    this.discard()
    this.#abort?.()
  }

  /** Nothing of it is wanted any more; its connection may be used again. */
  discard(): void {
    this.#owner = undefined
    this.#probeEnded()
  }

  onConnect(abort: (error?: Error) => void): void {
    // Thrown, the request leaves the queue and the connection, which is sound, stays.
    if (this.#owner === undefined) throw new Error('cancelled before it was sent')
    this.#abort = abort
    this.isSent = true
  }

  onResponseStarted(): void {
    this.hasAnswerBegun = true
  }

  onHeaders(status: number, fields: FlatFields, resume: () => void): boolean {
    this.hasHeadCome = true
    this.#resume = resume
    this.#probeEnded()
    return this.#owner === undefined || this.#owner.headCame(this, status, fields)
  }

  onData(chunk: Buffer): boolean {
    return this.#owner === undefined || this.#owner.dataCame(chunk)
  }

  onComplete(): void {
    const owner = this.#owner
    this.discard()
    owner?.ended()
  }

  onError(cause: Error): void {
    this.#probeEnded()
    this.#owner?.failed(this, cause)
  }
}
