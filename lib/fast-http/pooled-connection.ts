/** What becomes of the requests that are sent over one connection, one at a time? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import { systemClock, type Milliseconds, type MonotonicMilliseconds } from '../runtime/clock.ts'
import type { ReadTurn, ReadTurns } from '../http/read-turns.ts'
import { AnswerTimeout, connectionEnded, type AnswerHandler } from './answer-handler.ts'
import { ResponseReader } from './response-reader.ts'

/** How a connection is used. */
export interface ConnectionOptions {
  /** From the request being written to the head of its answer; 0 for no limit. */
  readonly timeoutHeaders: Milliseconds
  /** Between two parts of a body; 0 for no limit. */
  readonly timeoutBody: Milliseconds
  /** For what comes on a connection before it is read as HTTP. */
  readonly mender?: () => Mender
  /** Called with what was thrown where no caller could catch it: a defect of ours. It has ended no more than one connection. Never throws. */
  readonly defect: (cause: unknown) => void
}

/** Makes HTTP of what is almost HTTP. */
export interface Mender {
  /** From now on nothing is changed any more. */
  readonly isOver: boolean
  mend(piece: Buffer): Buffer
}

/** What a connection reports to its pool. */
export interface ConnectionOwner {
  readonly options: ConnectionOptions
  readonly turns: ReadTurns
  free(connection: PooledConnection): void
  gone(connection: PooledConnection): void
  failed(handler: AnswerHandler, cause: Error): void
  completed(handler: AnswerHandler): void
}

/** A request as it goes out. */
export interface SentRequest {
  /** The head, as Latin-1. */
  readonly text: string
  readonly body: Uint8Array | undefined
  readonly isToHead: boolean
  /** No other may follow it, whatever the server announces. */
  readonly isLast: boolean
}

const clock = systemClock

/** An unused connection is closed after that, or a second before the time that the server announces. */
const longestIdle: Milliseconds = 4_000
const keepAliveMargin: Milliseconds = 1_000

/** One connection of a pool. */
export class PooledConnection {
  readonly #pool: ConnectionOwner
  readonly #socket: ByteSocket
  readonly #turn: ReadTurn
  readonly #mender: Mender | undefined
  #handler: AnswerHandler | undefined
  #reader: ResponseReader | undefined
  /** When something happened last. */
  #since: MonotonicMilliseconds
  #hasBegun = false
  #isLast = false
  #isPaused = false
  #isOver = false
  #longestIdle = longestIdle

  constructor(pool: ConnectionOwner, socket: ByteSocket) {
    this.#pool = pool
    this.#socket = socket
    this.#turn = pool.turns.of(socket, () => this.#isPaused)
    this.#mender = pool.options.mender?.()
    this.#since = clock.now()
    socket.on('data', (piece) => this.#guarded(() => this.#take(piece)))
    socket.on('end', () => this.#guarded(() => this.#ended()))
    socket.on('error', (cause) => this.#fail(cause))
    socket.on('close', () => this.#fail(connectionEnded('The connection was closed')))
  }

  send({ text, body, isToHead, isLast }: SentRequest, handler: AnswerHandler): void {
    this.#handler = handler
    this.#reader = new ResponseReader(isToHead)
    this.#hasBegun = false
    this.#isLast = isLast
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
    if (this.#handler !== handler) return
    if (body !== undefined) this.#socket.cork()
    this.#socket.write(text, 'latin1')
    if (body === undefined) return
    this.#socket.write(body)
    this.#socket.uncork()
  }

  /** Closes it; a request under way fails. */
  end(): void {
    this.#fail(connectionEnded('The client is closed'))
  }

  checkTime(now: MonotonicMilliseconds): void {
    const age = now - this.#since
    const { timeoutHeaders, timeoutBody } = this.#pool.options
    if (this.#reader === undefined) {
      if (age >= this.#longestIdle) this.end()
    } else if (this.#reader.head === undefined) {
      if (timeoutHeaders > 0 && age >= timeoutHeaders) {
        this.#fail(new AnswerTimeout('No head of an answer in time'))
      }
    } else if (timeoutBody > 0 && !this.#isPaused && age >= timeoutBody) {
      this.#fail(new AnswerTimeout('No more of a body in time'))
    }
  }

  /** What is thrown here is no handler's: what the next byte belongs to is unknown. */
  #guarded(serve: () => void): void {
    try {
      serve()
    } catch (thrown) {
      this.#pool.options.defect(thrown)
      this.#fail(asError(thrown))
    }
  }

  readonly #resume = (): void => {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#since = clock.now()
    this.#socket.resume()
  }

  #take(piece: Buffer): void {
    const handler = this.#handler
    const reader = this.#reader
    // Bytes that answer no request.
    if (handler === undefined || reader === undefined) {
      this.end()
      return
    }
    // The limit for a head is for all of it.
    if (reader.head !== undefined) this.#since = clock.now()
    try {
      if (!this.#hasBegun) handler.onResponseStarted?.()
      this.#hasBegun = true
      const wasHeadless = reader.head === undefined
      const mender = this.#mender
      const data = reader.read(mender?.isOver === false ? mender.mend(piece) : piece)
      const { head } = reader
      if (head === undefined) return
      if (wasHeadless) {
        this.#since = clock.now()
        if (head.keepAlive !== undefined) {
          this.#longestIdle = Math.min(longestIdle, head.keepAlive - keepAliveMargin)
        }
        if (!handler.onHeaders(head.status, head.fields, this.#resume)) this.#pause(handler)
      }
      if (!reader.isOver) this.#turn.took(data.length)
      if (data.length > 0 && this.#handler === handler && !handler.onData(data)) {
        this.#pause(handler)
      }
    } catch (cause) {
      if (this.#handler === handler) this.#fail(asError(cause))
    }
    if (this.#handler === handler && reader.isOver) this.#complete(handler, reader)
  }

  #ended(): void {
    const handler = this.#handler
    const reader = this.#reader
    if (handler !== undefined && reader?.end() === true) this.#complete(handler, reader)
    else this.#fail(connectionEnded('The other side closed the connection'))
  }

  #complete(handler: AnswerHandler, { head, hasExcess }: ResponseReader): void {
    this.#finish()
    // Before the handler, which may have the next request at hand: it finds this connection free.
    if (this.#isLast || head?.isLast === true || hasExcess || this.#longestIdle <= 0) this.#close()
    else this.#pool.free(this)
    this.#pool.completed(handler)
  }

  #pause(handler: AnswerHandler): void {
    if (this.#handler !== handler) return
    this.#isPaused = true
    this.#socket.pause()
  }

  /** The request is over; what was paused goes on, or the end of the connection would not be noticed. */
  #finish(): void {
    this.#handler = undefined
    this.#reader = undefined
    this.#since = clock.now()
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  #fail(cause: Error): void {
    if (this.#isOver) return
    const handler = this.#handler
    this.#handler = undefined
    this.#close()
    if (handler !== undefined) this.#pool.failed(handler, cause)
  }

  #close(): void {
    this.#isOver = true
    this.#socket.destroy()
    this.#pool.gone(this)
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
