import type { ServerResponse } from 'node:http'
import { Cancellation, type Cancellable } from '../lib/cancellation.ts'
import type { Seconds } from '../lib/clock.ts'
import { errorResponse } from '../lib/http/error-response.ts'
import type { ReasonCode } from '../lib/reason-codes.ts'
import { wireHeaders } from '../lib/wire-headers.ts'
import type { Downstream, FlatHeaders } from './compute/exchange.ts'

/** The peer went away before it had its answer. */
export class PeerLeft extends Error {
  override readonly name = 'PeerLeft'
  constructor() {
    super('The peer closed the connection')
  }
}

/** The answer to one request on a raw Node response, and the news that nobody waits for it any more. */
export class GuestResponse implements Downstream, Cancellable {
  readonly #response: ServerResponse
  readonly #requestId: string
  readonly #cancellation = new Cancellation()
  #left: (() => void) | undefined
  #resume: (() => void) | undefined
  #status = 0

  constructor(response: ServerResponse, requestId: string) {
    this.#response = response
    this.#requestId = requestId
    response.on('close', () => {
      if (!response.writableFinished) this.#gone()
    })
    response.on('drain', () => this.#drained())
  }

  #gone(): void {
    this.#cancellation.cancel(new PeerLeft())
    this.#left?.()
  }

  #drained(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal
  }

  get isGone(): boolean {
    // A finished response counts as destroyed a moment later; that is not leaving.
    const { destroyed, writableFinished } = this.#response
    return this.#cancellation.isCancelled || (destroyed && !writableFinished)
  }

  get hasStarted(): boolean {
    return this.#response.headersSent
  }

  /** What was sent, 0 before anything was. */
  get status(): number {
    return this.#status
  }

  start(status: number, headers: FlatHeaders): void {
    this.#response.writeHead(status, [...headers, wireHeaders.requestId, this.#requestId])
    this.#status = status
  }

  write(chunk: Uint8Array): boolean {
    return this.#response.write(chunk)
  }

  end(): void {
    this.#response.end()
  }

  destroy(): void {
    this.#response.destroy()
  }

  onceDrained(resume: () => void): void {
    this.#resume = resume
  }

  onGone(left: () => void): () => void {
    this.#left = left
    return () => {
      this.#left = undefined
    }
  }

  /**
   * Answers with a reason code of ours; breaks the connection off when an answer has already begun.
   * @param retryAfter stands for the one of the code
   */
  refuse(code: ReasonCode, accept: string | undefined, retryAfter?: Seconds): void {
    if (this.isGone) return
    if (this.#response.headersSent) {
      this.#response.destroy()
      return
    }
    const requestId = this.#requestId
    const { status, headers, body } = errorResponse(code, { requestId, accept, retryAfter })
    this.#status = status
    this.#response.writeHead(status, headers)
    this.#response.end(body)
  }
}
