/** How are requests sent to one server, over connections that are kept for the next? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import { systemClock, type Cancel, type Milliseconds } from '../runtime/clock.ts'
import { ReadTurns } from '../http/read-turns.ts'
import { connectionEnded, type AnswerHandler } from './answer-handler.ts'
import { fieldBlock, isToken } from './fields.ts'
import {
  PooledConnection,
  type ConnectionOptions,
  type ConnectionOwner,
  type SentRequest,
} from './pooled-connection.ts'

/** One request. */
export interface PoolRequest {
  readonly method: string
  /** In origin form. */
  readonly path: string
  /** Names and values in turn. Host, Connection and Content-Length are added. */
  readonly headers: readonly string[]
  readonly body?: Uint8Array | null
}

/** Opens one connection, and calls back once. */
export type Connect = (
  connected: (...outcome: [error: null, socket: ByteSocket] | [error: Error, socket: null]) => void,
) => void

/** What a pool needs to know of its server. */
export interface RequestPoolOptions extends ConnectionOptions {
  /** Value of Host. */
  readonly host: string
  readonly connect: Connect
}

/** A request without a connection yet. */
interface Connecting {
  readonly handler: AnswerHandler
}

/** Time on the wire is real time, as it is for Node's server. */
const clock = systemClock
const longestSweep: Milliseconds = 500
/** Latin-1, as Node gives and takes targets. */
const originForm = /^\/[\x21-\x7e\x80-\xff]*$/
/** These have a length even where they have no body. @see RFC 9110 §8.6 */
const withContent: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

/**
 * Connections to one server, each with one request at a time. How many there are is the caller's business: each request gets one at
 * once, a kept one only where sending the request again does no harm.
 */
export class RequestPool implements ConnectionOwner {
  readonly options: RequestPoolOptions
  readonly turns = new ReadTurns()
  readonly #open = new Set<PooledConnection>()
  /** The one used last at the end: it is used next, and the others may grow too old. */
  readonly #idle: PooledConnection[] = []
  readonly #connecting = new Set<Connecting>()
  /** Of frozen lists. */
  readonly #blocks = new WeakMap<readonly string[], string>()
  #sweep: Cancel | undefined
  #isClosed = false

  constructor(options: RequestPoolOptions) {
    this.options = options
  }

  /** Sends a request. Its handler alone learns what comes of it. */
  dispatch(request: PoolRequest, handler: AnswerHandler): void {
    // After an answer to HEAD, a body that does not belong there would be read as the next answer.
    const isKept = request.method === 'GET' && (request.body ?? null) === null
    this.#send(request, handler, isKept)
  }

  /** On a connection of its own, which the server cannot have half-closed. */
  dispatchAfresh(request: PoolRequest, handler: AnswerHandler): void {
    this.#send(request, handler, false)
  }

  /** Lets running requests end and takes no more. */
  retire(): void {
    this.#isClosed = true
    for (const connection of this.#idle.splice(0)) connection.end()
  }

  /** Ends every connection, running requests included. */
  destroy(): void {
    this.retire()
    this.#sweep?.()
    this.#sweep = undefined
    for (const connection of this.#open) connection.end()
    for (const connecting of this.#connecting) this.#failConnecting(connecting, clientClosed())
  }

  // What a connection reports.

  free(connection: PooledConnection): void {
    if (this.#isClosed) connection.end()
    else this.#idle.push(connection)
  }

  gone(connection: PooledConnection): void {
    this.#open.delete(connection)
    const place = this.#idle.lastIndexOf(connection)
    if (place >= 0) this.#idle.splice(place, 1)
  }

  /** A request has failed. What its handler throws over that ends no other request. */
  failed(handler: AnswerHandler, cause: Error): void {
    try {
      handler.onError(cause)
    } catch (thrown) {
      this.options.defect(thrown)
    }
  }

  /** A request is through. A handler that cannot take that may still be able to fail. */
  completed(handler: AnswerHandler): void {
    try {
      handler.onComplete()
    } catch (thrown) {
      this.options.defect(thrown)
      this.failed(handler, thrown instanceof Error ? thrown : new Error(String(thrown)))
    }
  }

  #send(request: PoolRequest, handler: AnswerHandler, isKept: boolean): void {
    const text = this.#isClosed ? undefined : this.#textOf(request, isKept)
    if (text === undefined) {
      const why = this.#isClosed ? clientClosed() : new TypeError('The request cannot be written')
      this.failed(handler, why)
      return
    }
    const sent = {
      text,
      body: request.body ?? undefined,
      isToHead: request.method === 'HEAD',
      isLast: !isKept,
    }
    const idle = isKept ? this.#idle.pop() : undefined
    if (idle === undefined) this.#connect(sent, handler)
    else idle.send(sent, handler)
  }

  #textOf({ method, path, headers, body }: PoolRequest, isKept: boolean): string | undefined {
    const block = this.#blockOf(headers)
    if (block === undefined || !originForm.test(path) || !isToken(method)) return undefined
    const connection = isKept ? 'keep-alive' : 'close'
    const hasLength = (body ?? null) !== null || withContent.has(method)
    const length = hasLength ? `Content-Length: ${body?.length ?? 0}\r\n` : ''
    // In the order of Node's client, which the agent uses: compute does not see whether a request came by way of an agent.
    return `${method} ${path} HTTP/1.1\r\nHost: ${this.options.host}\r\n${block}${length}Connection: ${connection}\r\n\r\n`
  }

  /** Those who send many requests mostly give the same list again. */
  #blockOf(headers: readonly string[]): string | undefined {
    const known = this.#blocks.get(headers)
    if (known !== undefined) return known
    const block = fieldBlock(headers)
    if (block !== undefined && Object.isFrozen(headers)) this.#blocks.set(headers, block)
    return block
  }

  #connect(sent: SentRequest, handler: AnswerHandler): void {
    const connecting = { handler }
    this.#connecting.add(connecting)
    this.options.connect((error, socket) => {
      if (error !== null) {
        this.#failConnecting(connecting, error)
      } else if (this.#connecting.delete(connecting)) {
        const connection = new PooledConnection(this, socket)
        this.#open.add(connection)
        this.#sweep ??= this.#scheduleSweep()
        connection.send(sent, handler)
      } else socket.destroy()
    })
  }

  #failConnecting(connecting: Connecting, cause: Error): void {
    if (this.#connecting.delete(connecting)) this.failed(connecting.handler, cause)
  }

  #scheduleSweep(): Cancel {
    const limits = [this.options.timeoutHeaders, this.options.timeoutBody].filter((one) => one > 0)
    const span = Math.max(5, Math.min(longestSweep, ...limits.map((limit) => limit / 4)))
    return clock.schedule(span, () => {
      const now = clock.now()
      for (const connection of this.#open) connection.checkTime(now)
      this.#sweep = this.#open.size > 0 ? this.#scheduleSweep() : undefined
    })
  }
}

function clientClosed(): Error {
  return connectionEnded('The client is closed')
}
