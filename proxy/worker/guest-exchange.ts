/** What happens to one request of a guest, from its head to the last byte of its answer? */
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Bytes } from '../../lib/clock.ts'
import { causeText, type MetadataError } from '../../lib/errors.ts'
import { errorResponse } from '../../lib/http/error-response.ts'
import { PlainResponse, type PlainIncoming } from '../../lib/http/plain-server.ts'
import type { ReasonCode } from '../../lib/reason-codes.ts'
import { wireHeaders } from '../../lib/wire-headers.ts'
import type { AnswerReceiver } from './agent-exchange.ts'
import type { Forwarding } from './forwarder.ts'
import type { GuestIdentity } from './guest-listener.ts'
import type { GuestServices } from './guest-services.ts'
import type { RequestHead } from './request-head.ts'

/** Node's response, which knows its exchange, so that listeners are shared and need no closure. */
export class GuestResponse extends ServerResponse {
  exchange: GuestExchange | undefined
}

/** What an exchange needs of the connection it is on. */
export interface ExchangeConnection {
  readonly socket: Socket
  /** Who the guest is. */
  readonly identity: GuestIdentity
  /** Answers with a refusal, drops what is left of the request, and ends the connection. */
  refuse(code: ReasonCode, exchange: GuestExchange): void
  /** The answer is out: the next request may start. */
  exchangeDone(): void
  /** Ends the connection so that the guest cannot take what it got for a whole answer. */
  reset(): void
  /** Fields for a log line. */
  describe(): Record<string, unknown>
}

/** So much of an answer is taken in though the guest does not read: nearly all are smaller, and the next guest waits for the connection. */
const mostUnread: Bytes = 256 * 1024

type State = 'queued' | 'collecting' | 'asking' | 'answering' | 'over'

/** One request of a guest and the answer to it. */
export class GuestExchange implements AnswerReceiver {
  readonly requestId: string
  readonly request: IncomingMessage | PlainIncoming
  readonly response: GuestResponse | PlainResponse
  readonly head: RequestHead
  readonly #connection: ExchangeConnection
  readonly #services: GuestServices
  readonly #awaitsContinue: boolean
  #state: State = 'queued'
  #refusal: ReasonCode | undefined
  #chunks: Buffer[] = []
  #bodyBytes: Bytes = 0
  #upstream: Forwarding | undefined
  #status = 0
  #answerHeaders: string[] = []
  /** What the answer's Content-Length says; -1 when it says nothing. */
  #expectedBytes: Bytes = -1
  #answeredBytes: Bytes = 0
  /** Taken in while the guest did not read, and not yet known to be read. */
  #unreadBytes: Bytes = 0

  constructor(
    connection: ExchangeConnection,
    services: GuestServices,
    request: IncomingMessage | PlainIncoming,
    response: GuestResponse | PlainResponse,
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
  }

  /** True while bytes of the request are still to come. */
  get isBodyPending(): boolean {
    return this.head.hasBody && (this.#state === 'queued' || this.#state === 'collecting')
  }

  /** The exchange's turn on its connection has come. */
  start(): void {
    const { response } = this
    if (response instanceof PlainResponse) {
      response.listener = this
    } else {
      response.exchange = this
      response.on('finish', responseFinished)
      response.on('drain', responseDrained)
      response.on('error', ignoreError)
    }
    if (this.#refusal !== undefined) this.#connection.refuse(this.#refusal, this)
    else if (this.head.hasBody) this.#collect()
    else this.#ask(null)
  }

  /** The rest of the request cannot be read. */
  refuse(code: ReasonCode): void {
    this.#refusal = code
    if (this.#state !== 'queued') this.#connection.refuse(code, this)
  }

  /** The connection is gone or ends here: the agent need not go on. */
  abandon(): void {
    if (this.#state === 'over') return
    if (this.#state === 'asking' || this.#state === 'answering') {
      this.#services.metrics.guestDisconnects += 1
    }
    this.#state = 'over'
    this.#releaseBody()
    this.#releaseUnread()
    this.#upstream?.cancel()
  }

  /** The guest has taken what was written. */
  drained(): void {
    this.#connection.socket.setTimeout(0)
    this.#releaseUnread()
    this.#upstream?.resume()
  }

  finished(): void {
    this.#releaseUnread()
    const { socket } = this.#connection
    // Node's server has a limit of its own for what comes now.
    if (this.response instanceof PlainResponse && (socket.timeout ?? 0) > 0) socket.setTimeout(0)
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#connection.exchangeDone()
  }

  answerHead(status: number, headers: string[], reason: ReasonCode | undefined): void {
    this.#state = 'answering'
    this.#status = status
    if (reason !== undefined) this.#services.metrics.countAgentRefusal(reason)
    if (status < 300) this.#services.forwarder.noteServed(this.#connection.identity)
    for (let index = 0; index < headers.length; index += 2) {
      if (headers[index]?.toLowerCase() === 'content-length') {
        this.#expectedBytes = Number(headers[index + 1])
      }
    }
    headers.push(wireHeaders.requestId, this.requestId)
    this.#answerHeaders = headers
  }

  answerData(chunk: Buffer): boolean {
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
    return this.#takeIn(chunk.length)
  }

  #takeIn(bytes: Bytes): boolean {
    if (this.#unreadBytes + bytes > mostUnread) return false
    if (!this.#services.answers.take(bytes)) return false
    this.#unreadBytes += bytes
    return true
  }

  #releaseUnread(): void {
    this.#services.answers.release(this.#unreadBytes)
    this.#unreadBytes = 0
  }

  answerEnd(): void {
    this.#writeHead()
    if (!this.response.writableEnded) this.response.end()
    this.#limitUnread()
  }

  answerFailed(failure: MetadataError): void {
    const { metrics, log } = this.#services
    metrics.countRefusal(failure.code)
    log.write(failure.code, () => ({
      ...this.#connection.describe(),
      requestId: this.requestId,
      cause: causeText(failure),
      ...failure.details,
    }))
    if (this.response.headersSent) {
      this.#state = 'over'
      this.#connection.reset()
      return
    }
    const { accept } = this.request.headers
    const answer = errorResponse(failure.code, { requestId: this.requestId, accept })
    this.#state = 'answering'
    metrics.countAnswer(answer.status)
    this.response.writeHead(answer.status, { ...answer.headers })
    this.response.end(answer.body)
    this.#limitUnread()
  }

  #ask(body: Buffer | null): void {
    this.#state = 'asking'
    const { requestId } = this
    const { method = 'GET', url: target = '/' } = this.request
    this.#upstream = this.#services.forwarder.send(
      { method, target, body, requestId },
      this.#connection.identity,
      this,
    )
  }

  /**
   * Bodies are read whole before the agent is asked. A guest that sends its few bytes slowly would otherwise hold one of the
   * connections to the agent that all guests share.
   */
  #collect(): void {
    this.#state = 'collecting'
    const { request, response } = this
    // A plain one has no body.
    if (!(request instanceof IncomingMessage) || response instanceof PlainResponse) return
    if (this.#awaitsContinue) response.writeContinue()
    const { limits, metrics, bodies } = this.#services
    request.on('data', (chunk: Buffer) => {
      if (this.#state !== 'collecting') return
      if (this.#bodyBytes + chunk.length > limits.bodyBytes) {
        this.#connection.refuse('body_too_large', this)
      } else if (bodies.take(chunk.length)) {
        this.#bodyBytes += chunk.length
        this.#chunks.push(chunk)
      } else {
        this.#connection.refuse('overloaded', this)
      }
    })
    request.on('end', () => {
      if (this.#state !== 'collecting') return
      metrics.requestBodyBytes += this.#bodyBytes
      this.#ask(this.#bodyBytes === 0 ? null : Buffer.concat(this.#chunks))
      this.#chunks = []
    })
  }

  #releaseBody(): void {
    this.#services.bodies.release(this.#bodyBytes)
    this.#bodyBytes = 0
    this.#chunks = []
  }

  #writeHead(): void {
    if (this.response.headersSent) return
    this.#services.metrics.countAnswer(this.#status)
    this.response.writeHead(this.#status, this.#answerHeaders)
  }

  /** A guest that does not read its answer must not hold it for ever. */
  #limitUnread(): void {
    this.#releaseBody()
    const { socket } = this.#connection
    if (socket.writableLength > 0) this.#watchUnread()
  }

  #watchUnread(): void {
    const { socket } = this.#connection
    socket.setTimeout(this.#services.limits.timeoutRequest)
    // Node's server has a listener on each of its connections.
    if (socket.listenerCount('timeout') === 0) socket.on('timeout', endUnread)
  }
}

function responseFinished(this: GuestResponse): void {
  this.exchange?.finished()
}

function responseDrained(this: GuestResponse): void {
  this.exchange?.drained()
}

function endUnread(this: Socket): void {
  this.destroy()
}

/** A write to a connection that has just gone; its close is what counts. */
function ignoreError(): void {
  // Nothing to do.
}
