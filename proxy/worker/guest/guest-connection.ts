/** What may happen on one connection of a guest, and in which order? */
import type { IncomingMessage } from 'node:http'
import type { RawSocket } from '../raw/raw-socket.ts'
import type { Cancel, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import { isIpv6 } from '../../../lib/identity/ip-address.ts'
import type { IncomingGet } from '../../../lib/fast-http/incoming-get.ts'
import type { GetResponse } from '../../../lib/fast-http/get-response.ts'
import type { ConnectionReader } from '../../../lib/fast-http/request-reader.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { ExchangeConnection } from './exchange-connection.ts'
import { GuestExchange } from './guest-exchange.ts'
import type { GuestResponse } from './guest-response.ts'
import { describeGuest, type GuestIdentity } from '../shared/guest-identity.ts'
import { describeDefect } from '../../../lib/runtime/defects.ts'
import type { WorkerContext } from './worker-context.ts'
import type { Holder, Shortage } from './accounts.ts'
import type { Holding } from './ledger.ts'
import { refusalBytes } from './refusal-bytes.ts'
import { inspectHead, inspectGetHead, type HeadOnWire, type RequestHead } from './request-head.ts'

/** A request that waits for longer than that for its source's turn is refused: guests give up after ten seconds. */
const longestTurn: Milliseconds = 8_000
/** After the last moment of a stop, for what was refused then to be read. */
export const lastWords: Milliseconds = 250

/** How much longer a connection may go on. */
export type Retirement =
  /** One that waits between two requests may bring one more request, since the next may be on its way already. */
  | 'patient'
  /** One that has brought no request yet may bring one. */
  | 'prompt'
  /** Only requests under way are answered. */
  | 'final'

/** A connection of a guest, with the identity its listener gave it. */
export class GuestConnection implements ExchangeConnection<GuestExchange>, Holder {
  readonly identity: GuestIdentity
  readonly socket: RawSocket
  /** Absent while it is not counted: then its first request is refused. */
  holding: Holding | undefined
  reader: ConnectionReader | undefined
  readonly #services: WorkerContext
  #active: GuestExchange | undefined
  #requests: Count = 0
  /** No further request is taken. */
  #isLast = false
  #isRefused = false
  /** The next answer is the last. */
  #isRetiring = false
  /** There is not even a next one. */
  #isRetired = false
  #turnLimit: Cancel | undefined

  constructor(socket: RawSocket, identity: GuestIdentity, services: WorkerContext) {
    this.socket = socket
    this.identity = identity
    this.#services = services
  }

  get isIdle(): boolean {
    return this.#active === undefined
  }

  describe(): Record<string, unknown> {
    return describeGuest(this.identity)
  }

  /** A request's head has been read. */
  accept(
    request: IncomingMessage,
    response: GuestResponse,
    wire: HeadOnWire,
    awaitsContinue: boolean,
  ): void {
    if (this.#isLast) return
    const { limits, metrics } = this.#services
    const head = inspectHead(request, limits.bodyBytes, metrics.forgedHeaders, wire)
    this.#take(request, response, head, awaitsContinue)
  }

  /** A request was read whose bytes can be read in one way only. */
  acceptGet(request: IncomingGet, response: GetResponse): void {
    if (this.#isLast) return
    const head = inspectGetHead(request, this.#services.metrics.forgedHeaders)
    this.#take(request, response, head, false)
  }

  #take(
    request: IncomingMessage | IncomingGet,
    response: GuestResponse | GetResponse,
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
      head.isLast ||
      this.#isRetiring ||
      head.refusal !== undefined
    ) {
      this.#isLast = true
      response.shouldKeepAlive = false
    }
    if (this.#active !== undefined) {
      // The exchange reads on only after the answer is out. Whatever this is, it has no place on the connection.
      this.#isLast = true
      return
    }
    this.#active = exchange
    if (this.holding === undefined) this.refuse('too_many_connections', exchange)
    else exchange.start()
  }

  takeTurn(exchange: GuestExchange): boolean {
    if (this.holding === undefined || this.holding.enter(exchange)) return true
    this.#turnLimit = this.#services.clock.schedule(longestTurn, () => {
      if (this.#active === exchange && exchange.isWaiting) {
        this.refuse('too_many_connections', exchange)
      }
    })
    return false
  }

  /** CONNECT, after which Node's parser has let go of the connection. */
  refuseConnect(): void {
    this.cannotRead('method_not_supported')
  }

  /** The bytes that follow on the connection are no request, or do not come in time. */
  cannotRead(code: ReasonCode): void {
    if (this.#isRefused) return
    const active = this.#active
    if (active === undefined) {
      // What follows the last request is not read.
      if (!this.#isLast) this.refuse(code)
    } else if (active.isBodyPending) {
      this.#isLast = true
      active.refuse(code)
    } else {
      this.#isLast = true
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
    const { metrics, log } = this.#services
    const request = exchange?.request
    const requestId = exchange?.requestId
    metrics.countRefusal(code)
    const answer = refusalBytes(code, {
      requestId,
      accept: request?.headers.accept,
      isHead: request?.method === 'HEAD',
    })
    metrics.countAnswer(answer.status)
    if (exchange === undefined) this.#logUnread(answer.status, code)
    else exchange.refused(answer.status, code)
    log.write(code, () => ({ ...this.describe(), requestId }))
    this.#endExchange()
    // Node's response object would end the connection with unread bytes in it, and the reset that the kernel then
    // sends can overtake the refusal.
    if (this.reader === undefined) this.socket.end(answer.bytes)
    else this.reader.refused(answer.bytes)
  }

  /** Refused before there was a request that could be read. */
  #logUnread(status: number, code: ReasonCode): void {
    const { requests, clock } = this.#services
    const unread = { requestId: '', method: '', target: '', began: clock.now() }
    const request = { ...unread, lease: undefined, upstream: undefined }
    requests.add(request, this.identity, 'worker', 'refused', status, code)
  }

  exchangeDone(): void {
    this.#active = undefined
    this.#endTurn()
    if (this.#isRetired || (this.#isRetiring && this.#isLast)) this.#finish()
  }

  limitHops(hops: Count): void {
    // The number of a closed one may be another guest's by now.
    if (this.socket.destroyed) return
    this.#services.setHopLimit(this.socket.fd, isIpv6(this.identity.address), hops)
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  giveWay(shortage: Shortage): void {
    const { metrics, log } = this.#services
    metrics.countEviction(shortage)
    log.write('too_many_connections', () => ({ ...this.describe(), evictedFor: shortage }))
    this.#end()
  }

  /** A defect of ours is no reason to end more than the connection on which it showed. Never throws, whatever else is broken. */
  failed(cause: unknown): void {
    const { metrics, log } = this.#services
    metrics.defects += 1
    try {
      log.write('internal_error', () => ({ ...this.describe(), ...describeDefect(cause) }))
      this.#end()
    } catch {
      this.socket.destroy()
    }
  }

  /** So that the guest cannot take what it got for a whole answer. */
  #end(): void {
    this.#isLast = true
    this.#isRefused = true
    const isIdle = this.#active === undefined
    try {
      this.#endExchange()
    } finally {
      if (isIdle) this.socket.destroy()
      else this.socket.resetAndDestroy()
    }
  }

  /**
   * Ends the connection soon: at once when it waits between two requests, otherwise after what is under way.
   */
  retire(how: Retirement): void {
    this.#isRetiring = true
    if (how !== 'patient') this.#isRetired = true
    const active = this.#active
    if (active === undefined) {
      if (how === 'final' || (how === 'prompt' && this.#requests > 0)) this.#finish()
    } else if (how === 'final' && active.isBodyPending) {
      this.refuse('shutting_down', active)
    } else if (!active.response.headersSent) {
      this.#isLast = true
      active.response.shouldKeepAlive = false
    } else if (how !== 'patient') {
      this.#isLast = true
    }
  }

  #finish(): void {
    if (this.reader === undefined) this.socket.destroySoon()
    else this.reader.finish()
  }

  /** Ends the connection now, whatever is under way. */
  destroy(): void {
    this.socket.destroy()
  }

  /** The socket is closed. */
  closed(): void {
    this.#isLast = true
    this.#isRefused = true
    try {
      this.#endExchange()
    } finally {
      this.holding?.close()
    }
  }

  #endExchange(): void {
    const active = this.#active
    this.#active = undefined
    this.#endTurn()
    active?.abandon()
  }

  #endTurn(): void {
    this.#turnLimit?.()
    this.#turnLimit = undefined
    this.holding?.leave()
  }
}
