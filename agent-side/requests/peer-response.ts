import type { ServerResponse } from 'node:http'
import { Cancellation, type Cancellable } from '../../lib/runtime/cancellation.ts'
import type { Bytes, Cancel, Count, Seconds } from '../../lib/runtime/clock.ts'
import { errorResponse } from '../../lib/http/error-response.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Downstream, FlatHeaders } from '../compute/exchange.ts'
import type { RequestHolder } from './request-holder.ts'
import type { CutOffReason, UnreadAnswer, UnreadAnswers } from './unread-answers.ts'

/** The peer went away before it had its answer. */
export class PeerLeft extends Error {
  override readonly name = 'PeerLeft'
  constructor() {
    super('The peer closed the connection')
  }
}

export interface GuestResponseOptions {
  readonly requestId: string
  readonly holder: RequestHolder
  readonly unread: UnreadAnswers
  /** Called when the answer was broken off since it was not read, which can be long after everything was written. */
  readonly onCutOff: (why: CutOffReason, unreadBytes: Bytes) => void
}

/** The answer to one request on a raw Node response, and the event that the peer has left. */
export class PeerResponse implements Downstream, Cancellable, UnreadAnswer {
  /** To be replaced when more is known. */
  holder: RequestHolder
  /** How far the answer may go, once a proxy of ours has it; a refusal goes as far as it must. */
  hopLimit: Count | undefined
  readonly #response: ServerResponse
  readonly #options: GuestResponseOptions
  readonly #cancellation = new Cancellation()
  #left: (() => void) | undefined
  #resume: (() => void) | undefined
  #status = 0
  #isCutOff = false
  #stopWaiting: Cancel | undefined

  constructor(response: ServerResponse, options: GuestResponseOptions) {
    this.#response = response
    this.#options = options
    this.holder = options.holder
    response.on('close', () => {
      options.unread.forget(this)
      this.#stopWaiting?.()
      if (!response.writableFinished) this.#gone()
    })
    response.on('drain', () => this.#drained())
  }

  #gone(): void {
    this.#cancellation.cancel(new PeerLeft())
    this.#left?.()
  }

  #drained(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = undefined
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

  get unreadBytes(): Bytes {
    return this.#response.writableLength
  }

  /** Its guest did not read it. */
  get isCutOff(): boolean {
    return this.#isCutOff
  }

  start(status: number, headers: FlatHeaders): void {
    const { requestId } = this.#options
    const head = [...headers, wireHeaders.requestId, requestId]
    if (this.hopLimit !== undefined) head.push(wireHeaders.answerHopLimit, String(this.hopLimit))
    this.#response.writeHead(status, head)
    this.#status = status
  }

  write(chunk: Uint8Array): boolean {
    this.#response.write(chunk)
    return this.#note()
  }

  end(): void {
    this.#response.end()
    this.#note()
  }

  #note(): boolean {
    return this.isGone || this.#options.unread.note(this)
  }

  cutOff(why: CutOffReason): void {
    if (this.isGone) return
    this.#isCutOff = true
    this.#options.onCutOff(why, this.unreadBytes)
    this.#response.destroy()
  }

  destroy(): void {
    this.#response.destroy()
  }

  onceDrained(resume: () => void): void {
    this.#resume = resume
    this.#stopWaiting ??= this.#options.unread.waitFor(this)
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
    const { requestId } = this.#options
    const { status, headers, body } = errorResponse(code, { requestId, accept, retryAfter })
    this.#status = status
    this.#response.writeHead(status, headers)
    this.#response.end(body)
  }
}
