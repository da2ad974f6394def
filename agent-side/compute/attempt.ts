/** One request to one upstream: streamed, cancellable, never followed, never decoded. */
import type { Bytes } from '../../lib/runtime/clock.ts'
import { readAnswerHead } from '../../lib/http/answer-head.ts'
import {
  ExchangeTimeout,
  type ExchangeListener,
  type HttpExchange,
} from '../../lib/http/http-client.ts'
import { UnsizedAnswer } from '../../lib/http/unsized-answer.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import {
  isRepeatable,
  type ComputeRequest,
  type Downstream,
  type FlatHeaders,
  type KeptAnswer,
} from './exchange.ts'
import type { Upstream } from './upstreams.ts'

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
      /** Of an unanswered one: the connection had had a request before, so maybe the endpoint never read this one. */
      readonly wasReused: boolean
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
  /** On a connection of its own, which the endpoint cannot have closed. @default false */
  readonly isAfresh?: boolean
}

/** Larger answers are never mistaken for the small error pages that a second try is about. */
const mostKept: Bytes = 64 * 1024

/** How a connection that was closed under us shows. */
const closedCodes: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE'])

/** With TLS 1.3 a server that wants a certificate of ours may demand it only after our first request. */
function isTlsAlert(code: unknown): boolean {
  return typeof code === 'string' && code.startsWith('ERR_SSL_')
}

class GuestLeft extends Error {
  override readonly name = 'GuestLeft'
}

/** Sends a request and hands its answer on. Never rejects. */
export function attempt(
  upstream: Pick<Upstream, 'send'>,
  options: AttemptOptions,
): Promise<AttemptOutcome> {
  return new Promise((resolve) => {
    if (options.downstream.isGone) resolve({ kind: 'left' })
    else new Attempt(options, resolve).start(upstream)
  })
}

class Attempt implements ExchangeListener {
  readonly #options: AttemptOptions
  readonly #settle: (outcome: AttemptOutcome) => void
  readonly #stopListening: () => void
  #exchange: HttpExchange | undefined
  #isSent = false
  #isReused = false
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

  start(upstream: Pick<Upstream, 'send'>): void {
    const { request, headers, isAfresh = false } = this.#options
    const { method, target: path, body } = request
    const mayReuse = !isAfresh && isRepeatable(request)
    try {
      this.#exchange = upstream.send({ method, path, headers, body }, mayReuse, this)
    } catch (cause) {
      this.failed(cause as Error)
    }
  }

  sent(isReused: boolean): void {
    this.#isSent = true
    this.#isReused = isReused
  }

  headCame(status: number, fields: readonly string[]): void {
    const head = readAnswerHead(status, fields, 'compute')
    if (head === undefined) throw new Error('The head of the answer is not usable')
    this.#status = status
    const { request, keeps } = this.#options
    this.#unsized = UnsizedAnswer.of(request.method, status, head.headers)
    if (keeps(status)) this.#kept = { headers: head.headers, body: [] }
    else if (this.#unsized === undefined) this.#start(head.headers)
  }

  dataCame(chunk: Buffer): boolean {
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
    downstream.onceDrained(() => this.#exchange?.resume())
    return false
  }

  ended(): void {
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

  failed(cause: Error): void {
    if (this.#isSettled) return
    const beforeSending = !this.#isSent
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
      wasReused: isUnanswered && this.#isReused,
      cutOff: this.#hasStarted,
    })
  }

  #codeOf(cause: Error, isUntaken: boolean): ComputeFailure {
    const { code } = cause as NodeJS.ErrnoException
    if (this.#isSent && cause instanceof ExchangeTimeout) return 'compute_timeout'
    // A service that is being restarted closes connections it has just taken: no byte was sent, and guests must come back.
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
    this.#exchange?.abort(new GuestLeft())
  }

  #end(outcome: AttemptOutcome): void {
    this.#isSettled = true
    this.#stopListening()
    this.#settle(outcome)
  }
}
