/** One request to one upstream: streamed, cancellable, never followed, never decoded. */
import type { Bytes } from '../../lib/runtime/clock.ts'
import { readAnswerHead } from '../../lib/http/answer-head.ts'
import type { RequestSink } from '../../lib/fast-http/origin-pool.ts'
import type { PlainFields } from '../../lib/fast-http/head.ts'
import type { AnswerHandler } from '../../lib/fast-http/pool.ts'
import { UnsizedAnswer } from '../../lib/http/unsized-answer.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import {
  type ComputeRequest,
  type Downstream,
  type FlatHeaders,
  type KeptAnswer,
} from './exchange.ts'

/** The reason codes of what can go wrong with compute. */
export type ComputeFailure = Extract<
  ReasonCode,
  'compute_unreachable' | 'compute_timeout' | 'compute_broken_answer' | 'compute_cut_off'
>

/** How an attempt ended. */
export type AttemptOutcome =
  /** The answer is with the guest, whole. */
  | { readonly kind: 'relayed'; readonly status: number; readonly bytes: Bytes }
  /** The answer is here, whole, and the guest has had nothing. */
  | { readonly kind: 'kept'; readonly status: number; readonly answer: KeptAnswer }
  | {
      readonly kind: 'failed'
      readonly code: ComputeFailure
      readonly cause: Error
      /** The request was never sent. */
      readonly beforeSending: boolean
      /** The request was sent, and the connection ended without a byte of an answer. */
      readonly isUnanswered: boolean
      /** The guest has part of an answer; its connection has been broken off. */
      readonly cutOff: boolean
    }
  /** The guest left. */
  | { readonly kind: 'left' }

export interface AttemptOptions {
  readonly request: ComputeRequest
  /** The whole header set but for the body's length. */
  readonly headers: FlatHeaders
  readonly downstream: Downstream
  /** Whether an answer of this status is kept back. One too large to keep is relayed after all. */
  readonly keeps: (status: number) => boolean
}

/** Larger answers are never mistaken for the small error pages that a second try is about. */
const mostKept: Bytes = 64 * 1024

const timeoutCodes: ReadonlySet<unknown> = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
])

/** How a connection that was closed under us shows. */
const closedCodes: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

/** With TLS 1.3 a server that wants a certificate of ours may say so after our first request. */
function isTlsAlert(code: unknown): boolean {
  return typeof code === 'string' && code.startsWith('ERR_SSL_')
}

class GuestLeft extends Error {
  override readonly name = 'GuestLeft'
}

/** Sends a request and hands its answer on. Never rejects. */
export function attempt(sink: RequestSink, options: AttemptOptions): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    const handler = new AttemptHandler(options, resolve)
    if (options.downstream.isGone) {
      resolve({ kind: 'left' })
      return
    }
    const { method, target, body } = options.request
    const { headers } = options
    try {
      sink.dispatch(
        {
          method,
          path: target,
          headers:
            body === undefined
              ? (headers as string[])
              : [...headers, 'content-length', String(body.length)],
          ...(body !== undefined && { body: body.content as unknown as null }),
        },
        handler,
      )
    } catch (cause) {
      handler.onError(cause as Error)
    }
  })
}

class AttemptHandler implements AnswerHandler {
  readonly #options: AttemptOptions
  readonly #settle: (outcome: AttemptOutcome) => void
  readonly #stopListening: () => void
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #status = 0
  #bytes: Bytes = 0
  #hasStarted = false
  #isSettled = false
  /** Held until its length is known. */
  #unsized: UnsizedAnswer | undefined
  #kept: { headers: FlatHeaders; body: Uint8Array[] } | undefined

  constructor(options: AttemptOptions, settle: (outcome: AttemptOutcome) => void) {
    this.#options = options
    this.#settle = settle
    this.#stopListening = options.downstream.onGone(() => this.#leave())
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#isSettled) abort(new GuestLeft())
  }

  onHeaders(status: number, fields: PlainFields | Buffer[], resume: () => void): boolean {
    // Interim answers (RFC 9110 §15.2) are between us and the upstream.
    if (status < 200 || this.#isSettled) return true
    const head = readAnswerHead(status, fields, 'compute')
    if (head === undefined) throw new Error('The head of the answer is not usable')
    this.#status = status
    this.#resume = resume
    const { request, keeps } = this.#options
    this.#unsized = UnsizedAnswer.of(request.method, status, head.headers)
    if (keeps(status)) this.#kept = { headers: head.headers, body: [] }
    else if (this.#unsized === undefined) this.#start(head.headers)
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#isSettled) return true
    this.#bytes += chunk.length
    const { downstream } = this.#options
    const isHeld = this.#unsized?.take(chunk) === true
    if (this.#kept !== undefined) {
      this.#kept.body.push(chunk)
      if (this.#bytes <= mostKept) return true
      const { headers, body } = this.#kept
      this.#kept = undefined
      this.#unsized = undefined
      this.#start(headers)
      for (const earlier of body.slice(0, -1)) downstream.write(earlier)
    } else if (isHeld) {
      return true
    } else if (this.#unsized !== undefined) {
      const { headers, body } = this.#unsized
      this.#unsized = undefined
      this.#start(headers)
      for (const earlier of body) downstream.write(earlier)
    }
    if (downstream.write(chunk)) return true
    downstream.onceDrained(() => this.#resume?.())
    return false
  }

  onComplete(): void {
    if (this.#isSettled) return
    if (this.#kept !== undefined) {
      const headers = this.#unsized?.sizedHeaders() ?? this.#kept.headers
      const answer = { status: this.#status, headers, body: this.#kept.body }
      this.#end({ kind: 'kept', status: this.#status, answer })
      return
    }
    if (this.#unsized !== undefined) {
      this.#start(this.#unsized.sizedHeaders())
      for (const chunk of this.#unsized.body) this.#options.downstream.write(chunk)
    }
    this.#options.downstream.end()
    this.#end({ kind: 'relayed', status: this.#status, bytes: this.#bytes })
  }

  onError(cause: Error): void {
    if (this.#isSettled) return
    const beforeSending = this.#abort === undefined
    const isUnanswered =
      !beforeSending && this.#status === 0 && closedCodes.has((cause as NodeJS.ErrnoException).code)
    const code = this.#codeOf(cause, beforeSending || isUnanswered)
    if (this.#hasStarted) this.#options.downstream.destroy()
    this.#end({
      kind: 'failed',
      code,
      cause,
      beforeSending,
      isUnanswered,
      cutOff: this.#hasStarted,
    })
  }

  #codeOf(cause: Error, isUntaken: boolean): ComputeFailure {
    const { code } = cause as NodeJS.ErrnoException
    if (timeoutCodes.has(code)) return 'compute_timeout'
    // A service that is being restarted closes connections it has just taken: no word was said, and guests shall come back.
    return isUntaken || (this.#status === 0 && isTlsAlert(code))
      ? 'compute_unreachable'
      : 'compute_broken_answer'
  }

  #start(headers: FlatHeaders): void {
    // When this throws, over a byte that no header may hold, the guest has had nothing yet.
    this.#options.downstream.start(this.#status, headers)
    this.#hasStarted = true
  }

  #leave(): void {
    if (this.#isSettled) return
    this.#end({ kind: 'left' })
    this.#abort?.(new GuestLeft())
  }

  #end(outcome: AttemptOutcome): void {
    this.#isSettled = true
    this.#stopListening()
    this.#settle(outcome)
  }
}
