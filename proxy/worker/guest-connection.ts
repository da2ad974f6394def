/** What may happen on one connection of a guest, and in which order? */
import { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Bytes, Cancel, Count, Milliseconds } from '../../lib/clock.ts'
import type { PlainIncoming, PlainResponse } from '../../lib/http/plain-server.ts'
import type { ReasonCode } from '../../lib/reason-codes.ts'
import { GuestExchange, type ExchangeConnection, type GuestResponse } from './guest-exchange.ts'
import { describeGuest, type GuestIdentity } from './guest-listener.ts'
import type { GuestServices } from './guest-services.ts'
import { refusalBytes } from './refusal-bytes.ts'
import { inspectHead, inspectPlainHead, type RequestHead } from './request-head.ts'

/** Requests a guest may send ahead of their answers. They are served one after the other. */
const pipelinedAhead: Count = 32
/** What is read and thrown away after a refusal, so that the guest gets to read the refusal. */
const lingerBytes: Bytes = 1024 * 1024
const lingerTime: Milliseconds = 2_000

/** A connection of a guest, with the identity its listener gave it. */
export class GuestConnection implements ExchangeConnection {
  readonly identity: GuestIdentity
  readonly socket: Socket
  readonly #services: GuestServices
  readonly #queue: GuestExchange[] = []
  #active: GuestExchange | undefined
  #requests: Count = 0
  /** No further request is taken. */
  #isLast = false
  #isRefused = false
  /** The next answer is the last. */
  #isRetiring = false
  /** There is not even a next one. */
  #isRetired = false
  #pendingRefusal: ReasonCode | undefined
  #refusedAt: Bytes = 0
  #lingering: Cancel | undefined

  constructor(socket: Socket, identity: GuestIdentity, services: GuestServices) {
    this.socket = socket
    this.identity = identity
    this.#services = services
  }

  describe(): Record<string, unknown> {
    return describeGuest(this.identity)
  }

  /** A request's head has been read. */
  accept(request: IncomingMessage, response: GuestResponse, awaitsContinue: boolean): void {
    if (this.#isLast) {
      // While an answer is under way nothing is read for this one, and the connection ends after that answer.
      if (this.#isRefused) this.#discard(request)
      return
    }
    const { limits, metrics } = this.#services
    const head = inspectHead(request, limits.bodyBytes, metrics.forgedHeaders)
    this.#take(request, response, head, awaitsContinue)
  }

  /** A request was read whose bytes can be read in one way only. */
  acceptPlain(request: PlainIncoming, response: PlainResponse): void {
    if (this.#isLast) return
    const head = inspectPlainHead(request, this.#services.metrics.forgedHeaders)
    this.#take(request, response, head, false)
  }

  #take(
    request: IncomingMessage | PlainIncoming,
    response: GuestResponse | PlainResponse,
    head: RequestHead,
    awaitsContinue: boolean,
  ): void {
    const { limits } = this.#services
    const exchange = new GuestExchange(
      this,
      this.#services,
      request,
      response,
      head,
      awaitsContinue,
    )
    this.#requests += 1
    if (
      this.#requests >= limits.requestsPerConnection ||
      this.#queue.length >= pipelinedAhead ||
      head.asksUpgrade ||
      this.#isRetiring ||
      head.refusal !== undefined
    ) {
      this.#isLast = true
      response.shouldKeepAlive = false
    }
    if (this.#active === undefined) {
      this.#active = exchange
      exchange.start()
    } else {
      this.#queue.push(exchange)
    }
  }

  /** CONNECT, after which Node's parser has let go of the socket. */
  refuseConnect(): void {
    this.socket.on('error', () => this.socket.destroy())
    this.socket.resume()
    this.cannotRead('method_not_supported')
  }

  /** The bytes that follow on the connection are no request, or do not come in time. */
  cannotRead(code: ReasonCode): void {
    if (this.#isRefused) {
      if (this.socket.bytesRead - this.#refusedAt > lingerBytes || code === 'request_timeout') {
        this.socket.destroy()
      }
      return
    }
    const latest = this.#queue.at(-1) ?? this.#active
    if (latest?.isBodyPending === true) {
      this.#isLast = true
      latest.refuse(code)
    } else if (this.#isLast) {
      // What follows the last request is nobody's business.
    } else if (latest === undefined) {
      this.#isLast = true
      this.refuse(code)
    } else {
      this.#isLast = true
      this.#pendingRefusal = code
    }
  }

  refuse(code: ReasonCode, exchange?: GuestExchange): void {
    if (this.#isRefused) return
    this.#isLast = true
    this.#isRefused = true
    if (!this.socket.writable) {
      this.socket.destroy()
      return
    }
    const { metrics, log, clock, limits } = this.#services
    const request = exchange?.request
    const requestId = exchange?.requestId
    metrics.countRefusal(code)
    const answer = refusalBytes(code, {
      requestId,
      accept: request?.headers.accept,
      isHead: request?.method === 'HEAD',
    })
    metrics.countAnswer(answer.status)
    log.write(code, () => ({ ...this.describe(), requestId }))
    this.#endExchanges()
    this.#refusedAt = this.socket.bytesRead
    // Node's response object would end the connection with unread bytes in it, and the reset that the kernel then
    // sends can overtake the refusal.
    this.socket.end(answer.bytes)
    this.#lingering = clock.schedule(Math.min(lingerTime, limits.timeoutRequest), () =>
      this.socket.destroy(),
    )
    if (request instanceof IncomingMessage) this.#discard(request)
  }

  exchangeDone(): void {
    this.#active = this.#queue.shift()
    if (this.#active !== undefined) this.#active.start()
    else if (this.#pendingRefusal !== undefined) this.refuse(this.#pendingRefusal)
    else if (this.#isRetired || (this.#isRetiring && this.#isLast)) this.socket.destroySoon()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /**
   * Asks the connection to end soon: at once when it waits between two requests, otherwise after what is under way. One that
   * has not asked anything yet may ask once.
   * @param isPatient lets one that waits between two requests ask once more, since the next may be on its way already
   */
  retire(isPatient = false): void {
    this.#isRetiring = true
    if (!isPatient) this.#isRetired = true
    const latest = this.#queue.at(-1) ?? this.#active
    if (latest !== undefined) {
      if (!latest.response.headersSent) {
        this.#isLast = true
        latest.response.shouldKeepAlive = false
      } else if (!isPatient) {
        this.#isLast = true
      }
    } else if (!isPatient && this.#requests > 0) {
      this.socket.destroySoon()
    }
  }

  /** Ends the connection now, whatever is under way. */
  destroy(): void {
    this.socket.destroy()
  }

  /** The socket is closed. */
  closed(): void {
    this.#isLast = true
    this.#isRefused = true
    this.#lingering?.()
    this.#endExchanges()
  }

  #endExchanges(): void {
    this.#active?.abandon()
    this.#active = undefined
    for (const exchange of this.#queue) exchange.abandon()
    this.#queue.length = 0
  }

  #discard(request: IncomingMessage): void {
    request.removeAllListeners('data')
    request.on('data', () => {
      if (this.socket.bytesRead - this.#refusedAt > lingerBytes) this.socket.destroy()
    })
  }
}
