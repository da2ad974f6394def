/** What happens to one request of a guest, from its head to the last byte of its answer? */
import { IncomingMessage } from 'node:http'
import type { ByteSocket } from '../../../lib/sockets/byte-socket.ts'
import type { Bytes, MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import { causeText, type MetadataError } from '../../../lib/runtime/errors.ts'
import { errorResponse } from '../../../lib/http/error-response.ts'
import type { IncomingGet } from '../../../lib/fast-http/incoming-get.ts'
import { GetResponse } from '../../../lib/fast-http/get-response.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import type { Forwarding } from '../forwarding/forwarder.ts'
import type { Lease } from '../forwarding/lease-store.ts'
import type { RequestRecord } from '../shared/protocol.ts'
import type { WorkerContext } from './worker-context.ts'
import { takeAnswerFields } from './answer-fields.ts'
import type { ExchangeConnection } from './exchange-connection.ts'
import type { GuestResponse } from './guest-response.ts'
import { RequestBody } from './request-body.ts'
import type { RequestHead } from './request-head.ts'
import type { LoggedRequest } from './request-log.ts'

type ExchangeState = 'queued' | 'collecting' | 'waiting' | 'sent' | 'answering' | 'over'

/** One request of a guest and the answer to it. */
export class GuestExchange implements AnswerReceiver, LoggedRequest {
  readonly requestId: string
  readonly began: MonotonicMilliseconds
  readonly request: IncomingMessage | IncomingGet
  readonly response: GuestResponse | GetResponse
  readonly head: RequestHead
  readonly #connection: ExchangeConnection<GuestExchange>
  readonly #services: WorkerContext
  readonly #awaitsContinue: boolean
  #state: ExchangeState = 'queued'
  #refusal: ReasonCode | undefined
  #body: RequestBody | undefined
  #upstream: Forwarding | undefined
  #status = 0
  #reason: ReasonCode | undefined
  #isLogged = false
  #answerHeaders: string[] = []
  /** The answer's Content-Length; -1 without one. */
  #expectedBytes: Bytes = -1
  #answeredBytes: Bytes = 0
  /** The rest of the answer waits in the agent, or at compute. */
  #isStalled = false

  constructor(
    connection: ExchangeConnection<GuestExchange>,
    services: WorkerContext,
    request: IncomingMessage | IncomingGet,
    response: GuestResponse | GetResponse,
    head: RequestHead,
    awaitsContinue: boolean,
  ) {
    this.#connection = connection
    this.#services = services
    this.request = request
    this.response = response
    this.head = head
    this.#refusal = head.refusal
    this.#awaitsContinue = awaitsContinue
    this.requestId = services.requestIds.next()
    this.began = services.clock.now()
  }

  get method(): string {
    return this.request.method ?? ''
  }

  get target(): string {
    return this.head.target
  }

  get lease(): Lease | undefined {
    return this.#upstream?.leased?.lease
  }

  get upstream(): string | undefined {
    return this.#upstream?.leased?.upstream.url
  }

  /** True while bytes of the request are still to come. */
  get isBodyPending(): boolean {
    return this.head.hasBody && (this.#state === 'queued' || this.#state === 'collecting')
  }

  /** All of it has come, and it is not sent on yet. */
  get isWaiting(): boolean {
    return this.#state === 'waiting'
  }

  /** The request is to be served. */
  start(): void {
    this.response.listener = this
    if (this.#refusal !== undefined) this.#connection.refuse(this.#refusal, this)
    else if (this.head.hasBody) this.#collect()
    else this.#wait()
  }

  /** The rest of the request cannot be read. */
  refuse(code: ReasonCode): void {
    this.#refusal = code
    if (this.#state !== 'queued') this.#connection.refuse(code, this)
  }

  /** The connection is gone or ends here: the agent need not go on. */
  abandon(): void {
    if (this.#state === 'over') return
    this.#log('nobody', 'left', this.#status)
    if (['waiting', 'sent', 'answering'].includes(this.#state)) {
      this.#services.metrics.guestDisconnects += 1
    }
    this.#state = 'over'
    this.#release()
    this.#upstream?.cancel()
  }

  /** The guest has taken what was written. */
  drained(): void {
    try {
      this.#connection.socket.setTimeout(0)
      this.#holdUnread()
      this.#moves()
      this.#upstream?.resume()
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  finished(): void {
    try {
      this.#release()
      const { socket } = this.#connection
      if ((socket.timeout ?? 0) > 0) socket.setTimeout(0)
      if (this.#state === 'over') return
      this.#state = 'over'
      this.#connection.exchangeDone()
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  answerHead(status: number, headers: string[], reason: ReasonCode | undefined): void {
    try {
      this.#state = 'answering'
      this.#status = status
      this.#reason = reason
      if (reason !== undefined) this.#services.metrics.countAgentRefusal(reason)
      if (status < 300) this.#services.forwarder.noteServed(this.#connection.identity)
      const { length, hopLimit } = takeAnswerFields(headers)
      this.#expectedBytes = length
      if (hopLimit !== undefined) this.#connection.limitHops(hopLimit)
      headers.push(wireHeaders.requestId, this.requestId)
      this.#answerHeaders = headers
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  answerData(chunk: Buffer): boolean {
    try {
      return this.#relay(chunk)
    } catch (cause) {
      this.#connection.failed(cause)
      return true
    }
  }

  answerEnd(): void {
    try {
      this.#log(this.lease ? 'compute' : 'agent', 'relayed', this.#status, this.#reason)
      this.#moves()
      this.#writeHead()
      if (!this.response.writableEnded) this.response.end()
      this.#limitUnread()
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  answerFailed(failure: MetadataError): void {
    try {
      this.#answerFailure(failure)
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  #relay(chunk: Buffer): boolean {
    const { response } = this
    this.#writeHead()
    this.#answeredBytes += chunk.length
    this.#services.metrics.responseBodyBytes += chunk.length
    if (this.#answeredBytes === this.#expectedBytes) {
      // The last part: written together with the head when it is also the first.
      response.end(chunk)
      this.#limitUnread()
      return true
    }
    if (response.write(chunk)) return true
    this.#watchUnread()
    if (this.#holdUnread()) return true
    this.#stall()
    return false
  }

  /** Counts how much of the answer the guest has not taken. @returns false when no more may be taken in for it */
  #holdUnread(): boolean {
    return this.#connection.holding?.holdAnswer(this.response.writableLength) ?? false
  }

  /** Its guest may read as slowly as it likes, as long as no other guest waits for what it occupies. */
  #stall(): void {
    this.#isStalled = true
    const { holding } = this.#connection
    if (!this.#services.forwarder.isCrowded) holding?.stalls()
    // Not from within the answer that is being read.
    else process.nextTick(() => this.#isStalled && this.#connection.giveWay('agent'))
  }

  #moves(): void {
    if (!this.#isStalled) return
    this.#isStalled = false
    this.#connection.holding?.moves()
  }

  /** Nothing of the request or its answer is held any more. */
  #release(): void {
    this.#body?.release()
    this.#moves()
    this.#connection.holding?.holdAnswer(0)
  }

  #answerFailure(failure: MetadataError): void {
    const { metrics, log } = this.#services
    metrics.countRefusal(failure.code)
    log.write(failure.code, () => ({
      ...this.#connection.describe(),
      requestId: this.requestId,
      cause: causeText(failure),
      ...failure.details,
    }))
    if (this.response.headersSent) {
      this.#log('worker', 'cut_off', this.#status, failure.code)
      this.#state = 'over'
      this.#connection.reset()
      return
    }
    const { accept } = this.request.headers
    const answer = errorResponse(failure.code, { requestId: this.requestId, accept })
    this.#state = 'answering'
    this.#log('worker', 'refused', answer.status, failure.code)
    metrics.countAnswer(answer.status)
    this.response.writeHead(answer.status, { ...answer.headers })
    this.response.end(answer.body)
    this.#limitUnread()
  }

  /** The connection answers in its place. */
  refused(status: number, code: ReasonCode): void {
    this.#log('worker', 'refused', status, code)
  }

  /** What becomes of it later changes nothing of what it came to. */
  #log(
    answeredBy: RequestRecord['answeredBy'],
    outcome: RequestRecord['outcome'],
    status: number,
    reason?: ReasonCode,
  ): void {
    if (this.#isLogged) return
    this.#isLogged = true
    const { identity } = this.#connection
    this.#services.requests.add(this, identity, answeredBy, outcome, status, reason)
  }

  /** One source may have so many requests under way; this one may have to wait for its turn. */
  #wait(): void {
    this.#state = 'waiting'
    if (this.#connection.takeTurn(this)) this.#send()
  }

  turnCame(): void {
    try {
      if (this.#state === 'waiting') this.#send()
    } catch (cause) {
      this.#connection.failed(cause)
    }
  }

  #send(): void {
    this.#state = 'sent'
    const body = this.#body?.content ?? null
    const { requestId, target } = this
    const { method = 'GET', rawHeaders } = this.request
    const facts = this.#services.facts.of(rawHeaders)
    this.#upstream = this.#services.forwarder.send(
      { method, target, body, requestId, facts },
      this.#connection.identity,
      this,
    )
  }

  #collect(): void {
    this.#state = 'collecting'
    const { request, response } = this
    // One that the fast path reads has no body.
    if (!(request instanceof IncomingMessage) || response instanceof GetResponse) return
    if (this.#awaitsContinue) response.writeContinue()
    const connection = this.#connection
    this.#body = new RequestBody(request, {
      connection,
      limit: this.#services.limits.bodyBytes,
      onEnd: (bytes) => {
        this.#services.metrics.requestBodyBytes += bytes
        this.#wait()
      },
      refuse: (code) => connection.refuse(code, this),
      failed: (cause) => connection.failed(cause),
    })
  }

  #writeHead(): void {
    if (this.response.headersSent) return
    this.#services.metrics.countAnswer(this.#status)
    this.response.writeHead(this.#status, this.#answerHeaders)
  }

  /** A guest that does not read its answer must not hold it for ever. */
  #limitUnread(): void {
    this.#body?.release()
    if (this.#connection.socket.writableLength === 0) return
    this.#watchUnread()
    this.#holdUnread()
  }

  #watchUnread(): void {
    const { socket } = this.#connection
    socket.setTimeout(this.#services.limits.timeoutRequest)
    // Node's server has a listener on each of its connections.
    if (socket.listenerCount('timeout') === 0) socket.on('timeout', endUnread)
  }
}

function endUnread(this: ByteSocket): void {
  this.destroy()
}
