/** How is a plain request sent over a kept-alive connection, at little cost, without a parser of our own for everything else? */
import type { Socket } from 'node:net'
import {
  systemClock,
  type Bytes,
  type Cancel,
  type Count,
  type Milliseconds,
  type MonotonicMilliseconds,
} from '../runtime/clock.ts'
import { isPlainTarget, plainBlock, readPlainAnswer, type PlainFields } from './head.ts'
import { ReadTurns, type ReadTurn } from '../http/read-turns.ts'

/** A GET without a body. */
export interface PlainExchangeRequest {
  readonly path: string
  /** Names and values in turn. Host and Connection are added. */
  readonly headers: readonly string[]
}

/**
 * Who hears of an answer: undici's older form of handlers, so that one object can go to either client. An error's `code` is the
 * one that undici has for the same.
 */
export interface AnswerHandler {
  /** The request is about to be written; throws, or aborts at once, when nobody wants it any more. */
  onConnect(abort: (cause?: Error) => void): void
  /** The first byte of the answer is here. */
  onResponseStarted?(): void
  /** @returns false for a pause until `resume` */
  onHeaders(status: number, fields: PlainFields | Buffer[], resume: () => void): boolean
  /** @returns false for a pause */
  onData(chunk: Buffer): boolean
  onComplete(): void
  onError(cause: Error): void
}

/** The client for everything that is not plain. */
export interface GeneralClient {
  dispatch(request: PlainExchangeRequest, handler: AnswerHandler): void
  /** Goes on with an answer that turned out not to be plain. */
  takeOver(taken: TakenConnection, request: PlainExchangeRequest, handler: AnswerHandler): void
}

/** A connection on which a request was written, paused. */
export interface TakenConnection {
  readonly socket: Socket
  /** The answer as far as it has been read. */
  readonly unread: Buffer
}

/** What a pool needs to know of its server. */
export interface PlainPoolOptions {
  /** Value of Host. */
  readonly host: string
  readonly connect: (connected: (error: Error | null, socket: Socket | null) => void) => void
  /** At most so many at a time. */
  readonly connections: Count
  /** From the request being written to the head of its answer; 0 for no limit. */
  readonly timeoutHeaders: Milliseconds
  /** Between two parts of a body; 0 for no limit. */
  readonly timeoutBody: Milliseconds
  readonly general: GeneralClient
  /** Called with what was thrown where nobody could catch it: a defect of ours. It has ended no more than one connection. Never throws. */
  readonly defect: (cause: unknown) => void
}

interface Waiting {
  readonly request: PlainExchangeRequest
  readonly text: string
  readonly handler: AnswerHandler
}

/** Time on the wire is real time, as it is for the general client and for Node's server. */
const clock = systemClock

/** An unused connection is closed after that, or a second before the server says that it does. */
const longestIdle: Milliseconds = 4_000
const keepAliveMargin: Milliseconds = 1_000
const longestSweep: Milliseconds = 500

/** So many requests go to the general client after a server has shown that its answers are not plain. */
const generalAfterwards: Count = 200

/**
 * Connections to one server, each with one request at a time. A request goes out in one write; an answer that is plain comes in with
 * no more than its head being read. Any other answer is read by the general client from its first byte on, over the same connection.
 */
export class PlainPool {
  readonly #options: PlainPoolOptions
  readonly #open = new Set<PlainConnection>()
  /** The one used last at the end: it is used next, and the others may grow too many. */
  readonly #idle: PlainConnection[] = []
  readonly #waiting: Waiting[] = []
  readonly turns = new ReadTurns()
  #connecting: Count = 0
  #generalLeft: Count = 0
  #sweep: Cancel | undefined
  #isClosed = false

  constructor(options: PlainPoolOptions) {
    this.#options = options
  }

  /** Sends a request, now or when a connection is free. What happens is told to the handler alone. */
  dispatch(request: PlainExchangeRequest, handler: AnswerHandler): void {
    const text = this.#isClosed ? undefined : this.#textOf(request)
    if (text === undefined) {
      this.#options.general.dispatch(request, handler)
      return
    }
    const idle = this.#idle.pop()
    if (idle !== undefined) {
      idle.send(request, text, handler)
      return
    }
    this.#waiting.push({ request, text, handler })
    this.#connectMore()
  }

  /** Lets running requests end and takes no more: the general client says what becomes of those. */
  retire(): void {
    this.#isClosed = true
    for (const connection of this.#idle.splice(0)) connection.end()
  }

  /** Ends every connection, running requests included. */
  destroy(): void {
    this.#isClosed = true
    this.#idle.length = 0
    this.#sweep?.()
    this.#sweep = undefined
    for (const connection of this.#open) connection.end()
    for (const { handler } of this.#waiting.splice(0))
      this.failed(handler, connectionEnded('The client is closed'))
  }

  // What a connection tells.

  free(connection: PlainConnection): void {
    if (this.#isClosed && this.#waiting.length === 0) {
      connection.end()
      return
    }
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(connection)
    else connection.send(next.request, next.text, next.handler)
  }

  /** It is closed, or somebody else's. */
  gone(connection: PlainConnection): void {
    this.#open.delete(connection)
    const place = this.#idle.lastIndexOf(connection)
    if (place >= 0) this.#idle.splice(place, 1)
    this.#connectMore()
  }

  /** A request has failed. What its handler throws over that concerns nobody else. */
  failed(handler: AnswerHandler, cause: Error): void {
    try {
      handler.onError(cause)
    } catch (thrown) {
      this.#options.defect(thrown)
    }
  }

  /** A request is through. A handler that cannot take that may still be able to fail. */
  completed(handler: AnswerHandler): void {
    try {
      handler.onComplete()
    } catch (thrown) {
      this.#options.defect(thrown)
      this.failed(handler, asError(thrown))
    }
  }

  takeOver(taken: TakenConnection, request: PlainExchangeRequest, handler: AnswerHandler): void {
    this.#generalLeft = generalAfterwards
    this.#options.general.takeOver(taken, request, handler)
  }

  #textOf(request: PlainExchangeRequest): string | undefined {
    if (this.#generalLeft > 0) {
      this.#generalLeft -= 1
      return undefined
    }
    const block = plainBlock(request.headers)
    if (block === undefined || !isPlainTarget(request.path)) return undefined
    return `GET ${request.path} HTTP/1.1\r\nhost: ${this.#options.host}\r\nconnection: keep-alive\r\n${block}\r\n`
  }

  #connectMore(): void {
    const { connections, connect } = this.#options
    while (
      this.#connecting < this.#waiting.length &&
      this.#open.size + this.#connecting < connections
    ) {
      this.#connecting += 1
      connect((error, socket) => {
        this.#connecting -= 1
        if (error === null && socket !== null) this.#connected(socket)
        // One request is told; if there are more, each finds out by an attempt of its own.
        else {
          const next = this.#waiting.shift()
          if (next) this.failed(next.handler, error ?? connectionEnded('There is no connection'))
        }
        this.#connectMore()
      })
    }
  }

  #connected(socket: Socket): void {
    const connection = new PlainConnection(this, socket, this.#options)
    this.#open.add(connection)
    this.#sweep ??= this.#scheduleSweep()
    this.free(connection)
  }

  #scheduleSweep(): Cancel {
    const { timeoutHeaders, timeoutBody } = this.#options
    const limits = [timeoutHeaders, timeoutBody].filter((limit) => limit > 0)
    const span = Math.max(5, Math.min(longestSweep, ...limits.map((limit) => limit / 4)))
    return clock.schedule(span, () => {
      const now = clock.now()
      for (const connection of this.#open) {
        try {
          connection.checkTime(now)
        } catch (thrown) {
          connection.spoil(thrown)
        }
      }
      this.#sweep = this.#open.size > 0 ? this.#scheduleSweep() : undefined
    })
  }
}

type State = 'idle' | 'asking' | 'answering' | 'over'

/** One connection of a pool. */
class PlainConnection {
  readonly #pool: PlainPool
  readonly #socket: Socket
  readonly #options: PlainPoolOptions
  readonly #turn: ReadTurn
  #state: State = 'idle'
  #request: PlainExchangeRequest | undefined
  #handler: AnswerHandler | undefined
  /** When something happened last. */
  #since: MonotonicMilliseconds
  /** Of the answer's body, still to come. */
  #left: Bytes = 0
  #isLast = false
  #isPaused = false
  #longestIdle = longestIdle

  constructor(pool: PlainPool, socket: Socket, options: PlainPoolOptions) {
    this.#pool = pool
    this.#socket = socket
    this.#options = options
    this.#turn = pool.turns.of(socket, () => this.#isPaused)
    this.#since = clock.now()
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  send(request: PlainExchangeRequest, text: string, handler: AnswerHandler): void {
    this.#request = request
    this.#handler = handler
    this.#state = 'asking'
    this.#since = clock.now()
    try {
      // Kept longer than the request runs, it must not end the next one.
      handler.onConnect((cause) => {
        if (this.#handler === handler)
          this.#fail(cause ?? connectionEnded('The request was aborted'))
      })
    } catch (cause) {
      this.#finish()
      this.#pool.free(this)
      this.#pool.failed(handler, asError(cause))
      return
    }
    if (this.#handler === handler) this.#socket.write(text, 'latin1')
  }

  /** Closes it; a request under way fails. */
  end(): void {
    this.#fail(connectionEnded('The client is closed'))
  }

  /** Something was thrown while it was served: a defect, after which nobody knows what its next byte belongs to. */
  spoil(thrown: unknown): void {
    this.#options.defect(thrown)
    this.#fail(asError(thrown))
  }

  checkTime(now: MonotonicMilliseconds): void {
    const age = now - this.#since
    const { timeoutHeaders, timeoutBody } = this.#options
    if (this.#state === 'idle') {
      if (age >= this.#longestIdle) this.end()
    } else if (this.#state === 'asking') {
      if (timeoutHeaders > 0 && age >= timeoutHeaders) {
        this.#fail(failure('UND_ERR_HEADERS_TIMEOUT', 'No head of an answer in time'))
      }
    } else if (timeoutBody > 0 && !this.#isPaused && age >= timeoutBody) {
      this.#fail(failure('UND_ERR_BODY_TIMEOUT', 'No more of a body in time'))
    }
  }

  readonly #resume = (): void => {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#since = clock.now()
    this.#socket.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#since = clock.now()
    try {
      if (this.#state === 'asking') this.#takeHead(chunk)
      else if (this.#state === 'answering') this.#takeBody(chunk)
      // Bytes that nobody asked for.
      else this.end()
    } catch (thrown) {
      this.spoil(thrown)
    }
  }

  readonly #onEnd = (): void => {
    this.#fail(connectionEnded('The other side closed the connection'))
  }

  readonly #onError = (cause: Error): void => {
    this.#fail(cause)
  }

  readonly #onClose = (): void => {
    this.#fail(connectionEnded('The connection was closed'))
  }

  #takeHead(chunk: Buffer): void {
    const handler = this.#handler
    const end = chunk.indexOf('\r\n\r\n', 0, 'latin1') + 4
    const answer = end < 4 ? undefined : readPlainAnswer(chunk.toString('latin1', 0, end))
    if (answer === undefined || handler === undefined || end + answer.length < chunk.length) {
      this.#handOver(chunk)
      return
    }
    this.#state = 'answering'
    this.#left = answer.length
    this.#isLast = answer.isLast
    if (answer.keepAlive !== undefined) {
      this.#longestIdle = Math.min(longestIdle, answer.keepAlive - keepAliveMargin)
    }
    try {
      handler.onResponseStarted?.()
      if (!handler.onHeaders(answer.status, answer.fields, this.#resume)) this.#pause()
    } catch (cause) {
      this.#fail(cause as Error)
    }
    if (this.#handler !== handler) return
    if (end < chunk.length) this.#takeBody(chunk.subarray(end))
    else if (this.#left === 0) this.#complete()
  }

  #takeBody(chunk: Buffer): void {
    const handler = this.#handler
    if (chunk.length > this.#left) {
      this.#fail(failure('UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'The body is too long'))
      return
    }
    this.#left -= chunk.length
    if (this.#left > 0) this.#turn.took(chunk.length)
    try {
      if (handler?.onData(chunk) === false) this.#pause()
    } catch (cause) {
      this.#fail(cause as Error)
    }
    if (this.#handler === handler && this.#left === 0) this.#complete()
  }

  #complete(): void {
    const handler = this.#handler
    this.#finish()
    // Before the handler, which may have the next request at hand: it finds this connection free.
    if (this.#isLast || this.#longestIdle <= 0) this.#close()
    else this.#pool.free(this)
    if (handler !== undefined) this.#pool.completed(handler)
  }

  #pause(): void {
    if (this.#handler === undefined) return
    this.#isPaused = true
    this.#socket.pause()
  }

  /** The request is over; what was paused goes on, or the end of the connection would not be noticed. */
  #finish(): void {
    this.#handler = undefined
    this.#request = undefined
    this.#state = 'idle'
    this.#since = clock.now()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  #fail(cause: Error): void {
    if (this.#state === 'over') return
    const handler = this.#handler
    this.#handler = undefined
    this.#close()
    if (handler !== undefined) this.#pool.failed(handler, cause)
  }

  #close(): void {
    this.#state = 'over'
    this.#socket.destroy()
    this.#pool.gone(this)
  }

  #handOver(unread: Buffer): void {
    const socket = this.#socket
    const request = this.#request
    const handler = this.#handler
    this.#state = 'over'
    this.#handler = undefined
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('error', this.#onError)
    socket.off('close', this.#onClose)
    // Until somebody else listens.
    socket.on('error', () => undefined)
    socket.pause()
    if (request !== undefined && handler !== undefined) {
      this.#pool.takeOver({ socket, unread }, request, handler)
    }
    this.#pool.gone(this)
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** An error for a connection that ended under a request. */
export function connectionEnded(message: string): Error {
  return failure('UND_ERR_SOCKET', message)
}
