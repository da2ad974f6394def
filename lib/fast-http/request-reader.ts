/** How are the requests of one connection read, GETs without a body from the raw socket and all others by Node's HTTP server? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import type { Bytes, Clock, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import type { IncomingGet } from './incoming-get.ts'
import { GetResponse, type AnsweredConnection, type AnswerLines } from './get-response.ts'
import { RequestWire, type WireOwner } from './request-wire.ts'

/** Who does what with a connection, and for how long. */
export interface ReaderOptions {
  /** Serves one GET without a body. Node's server would call its listener with the like. */
  readonly serve: (request: IncomingGet, response: GetResponse) => void
  /**
   * Takes over a connection on which something else came, as a listener of Node's server for `connection` does. It brings one request at
   * a time; {@link RequestWire.began} is to be called for each.
   */
  readonly takeOver: (wire: RequestWire) => void
  /** Nothing came for too long on a connection that has brought no request yet. */
  readonly timedOut: (socket: ByteSocket) => void
  /** So many bytes of requests are held now for the connection. Small heads do not count. */
  readonly hold?: (socket: ByteSocket, bytes: Bytes) => void
  /** Something was thrown while the connection was served. Absent: it is thrown on. */
  readonly failed?: (socket: ByteSocket, cause: unknown) => void
  readonly headBytes: Bytes
  readonly timeoutHead: Milliseconds
  readonly timeoutKeepAlive: Milliseconds
}

/** What is read and thrown away after the last answer, so that the client gets to read it. */
const lingerBytes: Bytes = 1024 * 1024
const lingerTime: Milliseconds = 2_000

/** A head up to that size is part of what each connection costs. */
const smallHead: Bytes = 2 * 1024

const headEnd = Buffer.from('\r\n\r\n')

/** What all connections share. */
export interface ReaderHost extends AnswerLines {
  readonly clock: Clock
  /** Each answer is the last of its connection. */
  readonly isClosing: boolean
  /** @returns `undefined` unless so many of the bytes are one GET without a body */
  read(chunk: Buffer, length: number): IncomingGet | undefined
  /** The connection is closed, or read by another. */
  forget(gone: RequestReader): void
}

/** Reads the requests of one connection. */
export interface ConnectionReader {
  /** More of what was sent ahead is in hand. */
  readonly hasInput: boolean
  /** Sends these last bytes and throws away whatever still comes. */
  refused(bytes: Buffer): void
  /**
   * Ends the connection, of which the client may not know yet: what it has sent ahead or has under way gets a clean end, not a reset.
   * @see RFC 9112 §9.6
   */
  finish(): void
}

/** Where a connection's reader hangs. */
const reader = Symbol('reader')
interface ReadSocket extends ByteSocket {
  [reader]?: RequestReader | undefined
}

/** Reads one connection: GETs without a body by itself, and from the first request of another kind on through Node's server. */
export class RequestReader implements ConnectionReader, AnsweredConnection, WireOwner {
  readonly socket: ReadSocket
  readonly #server: ReaderHost
  readonly #options: ReaderOptions
  #response: GetResponse | undefined
  #wire: RequestWire | undefined
  /** Came while an answer is under way, or together with the request before. */
  #input: Buffer | undefined
  /** The chunk that it is a part of. */
  #inputBytes: Bytes = 0
  #headBytes: Bytes = 0
  #heldBytes: Bytes = 0
  #hasBroughtOne = false
  /** Of a GET that was read here. */
  #isLastForClient = false
  #isStopped = false
  #isEnded = false
  /** What comes is thrown away, so that the client gets to read the last answer. */
  #discarded: Bytes | undefined
  #since: MonotonicMilliseconds

  constructor(server: ReaderHost, socket: ReadSocket, options: ReaderOptions) {
    this.socket = socket
    this.#server = server
    this.#options = options
    this.#since = server.clock.now()
    socket[reader] = this
    socket.on('data', dataCame)
    socket.on('end', endCame)
    socket.on('error', ignoreError)
    socket.on('close', closeCame)
  }

  take(chunk: Buffer): void {
    if (this.#discarded !== undefined) {
      this.#discarded += chunk.length
      if (this.#discarded > lingerBytes) this.socket.destroy()
      return
    }
    if (this.#isAnswering || this.#input !== undefined) {
      this.#keep(this.#input === undefined ? chunk : Buffer.concat([this.#input, chunk]))
      this.#stopReading()
    } else {
      this.#inputBytes = chunk.length
      this.#read(chunk)
    }
    this.#hold()
  }

  /** An answer is out, all of it. */
  answered(shouldKeepAlive: boolean): void {
    try {
      this.#goOnAfter(shouldKeepAlive)
    } catch (cause) {
      this.failed(cause)
    }
  }

  #goOnAfter(shouldKeepAlive: boolean): void {
    this.#response = undefined
    this.#headBytes = 0
    this.#since = this.#server.clock.now()
    if (!shouldKeepAlive || this.#server.isClosing) this.#endAfterAnswer()
    // Not from within the answer, whose end may have more to do.
    else if (this.#input !== undefined || this.#isEnded) process.nextTick(guarded, this, 'goOn')
    else this.#hold()
  }

  wanted(): void {
    this.#since = this.#server.clock.now()
    process.nextTick(guarded, this, 'goOn')
  }

  wireEnded(): void {
    try {
      if (!this.socket.destroyed) this.#endAfterAnswer()
    } catch (cause) {
      this.failed(cause)
    }
  }

  goOn(): void {
    if (this.socket.destroyed || this.#discarded !== undefined) return
    const input = this.#input
    this.#input = undefined
    if (input !== undefined) this.#read(input)
    if (this.#input === undefined) this.#startReading()
    this.#hold()
    if (this.#isEnded) this.#endWhenAnswered()
  }

  /** The other side has ended its half: its requests are answered. */
  ended(): void {
    this.#isEnded = true
    this.#endWhenAnswered()
  }

  closed(): void {
    this.#server.forget(this)
    this.#response?.gone()
    this.#wire?.destroy()
  }

  closeIdle(): void {
    if (!this.#isBusy) this.socket.destroySoon()
  }

  /** Ends this connection and no other. */
  failed(cause: unknown): void {
    const { failed } = this.#options
    if (failed === undefined) throw cause
    failed(this.socket, cause)
  }

  refused(bytes: Buffer): void {
    this.socket.end(bytes)
    this.#discard()
  }

  finish(): void {
    if (this.#discarded !== undefined || this.socket.destroyed) return
    this.socket.end()
    this.#discard()
  }

  get hasInput(): boolean {
    return this.#input !== undefined
  }

  checkTime(now: MonotonicMilliseconds): void {
    try {
      this.#checkAge(now)
    } catch (cause) {
      this.failed(cause)
    }
  }

  #checkAge(now: MonotonicMilliseconds): void {
    const age = now - this.#since
    if (this.#discarded !== undefined) {
      if (age >= Math.min(lingerTime, this.#options.timeoutHead)) this.socket.destroy()
    } else if (this.#isBusy || (this.#wire?.headBytes ?? 0) > 0) {
      // Whoever answers has limits, and Node's server for heads that come slowly.
    } else if (this.#hasBroughtOne) {
      if (age >= this.#options.timeoutKeepAlive) this.finish()
    } else if (age >= this.#options.timeoutHead) {
      this.#options.timedOut(this.socket)
    }
  }

  /** Then nothing more is read. */
  get #isAnswering(): boolean {
    return this.#response !== undefined || this.#wire?.isAnswering === true
  }

  get #isBusy(): boolean {
    return this.#response !== undefined || this.#wire?.isBusy === true
  }

  #read(chunk: Buffer): void {
    if (this.#wire !== undefined) {
      this.#feed(this.#wire, chunk)
      return
    }
    const end = chunk.indexOf(headEnd) + headEnd.length
    const request = end < headEnd.length ? undefined : this.#server.read(chunk, end)
    if (request === undefined) {
      this.#handOver(chunk)
      return
    }
    this.#hasBroughtOne = true
    this.#headBytes = end
    if (end < chunk.length) {
      this.#keep(chunk.subarray(end))
      this.#stopReading()
    }
    this.#isLastForClient = request.isLast
    const response = new GetResponse(this.#server, this, request.isLast)
    this.#response = response
    this.#options.serve(request, response)
  }

  #feed(wire: RequestWire, chunk: Buffer): void {
    const taken = wire.feed(chunk)
    if (wire.isBusy) this.#hasBroughtOne = true
    if (taken === chunk.length || this.#discarded !== undefined || this.socket.destroyed) return
    this.#keep(chunk.subarray(taken))
    this.#stopReading()
  }

  #keep(input: Buffer): void {
    this.#input = input
    this.#inputBytes = Math.max(this.#inputBytes, input.length)
  }

  /** Reports how much is held, where that is more than every connection may hold. */
  #hold(): void {
    const { hold } = this.#options
    if (hold === undefined || this.socket.destroyed) return
    if (this.#input === undefined) this.#inputBytes = 0
    const head = Math.max(this.#headBytes, this.#wire?.headBytes ?? 0)
    const bytes = this.#inputBytes + (head > smallHead ? head : 0)
    if (bytes === this.#heldBytes) return
    this.#heldBytes = bytes
    hold(this.socket, bytes)
  }

  #endWhenAnswered(): void {
    if (!this.#isAnswering && this.#input === undefined) this.socket.destroySoon()
  }

  /** All is with the kernel. A close that unread bytes, or a further request, meet would send a reset, which can overtake the answer. */
  #endAfterAnswer(): void {
    if (this.#discarded !== undefined) return
    const hasInput = this.#input !== undefined || this.#isStopped
    const isLast = this.#wire?.isLastForClient ?? this.#isLastForClient
    if (!hasInput && isLast && this.socket.hasUnread !== true) {
      // Closing ends the connection as a shutdown before it would.
      this.socket.destroy()
    } else {
      this.socket.end()
      this.#discard()
    }
  }

  #discard(): void {
    this.#discarded = 0
    this.#wire?.stop()
    this.#since = this.#server.clock.now()
    this.#input = undefined
    this.#headBytes = 0
    this.#hold()
    this.#startReading()
    if (this.#isEnded) this.socket.destroySoon()
  }

  #stopReading(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.socket.pause()
  }

  #startReading(): void {
    if (!this.#isStopped) return
    this.#isStopped = false
    this.socket.resume()
  }

  #handOver(chunk: Buffer): void {
    this.#wire = new RequestWire(this.socket, this)
    this.#options.takeOver(this.#wire)
    this.#feed(this.#wire, chunk)
  }
}

function guarded(of: RequestReader | undefined, step: 'goOn' | 'ended' | 'closed'): void {
  try {
    of?.[step]()
  } catch (cause) {
    of?.failed(cause)
  }
}

function dataCame(this: ReadSocket, chunk: Buffer): void {
  try {
    this[reader]?.take(chunk)
  } catch (cause) {
    this[reader]?.failed(cause)
  }
}

function endCame(this: ReadSocket): void {
  guarded(this[reader], 'ended')
}

function closeCame(this: ReadSocket): void {
  guarded(this[reader], 'closed')
}

function ignoreError(): void {
  // The close that follows is what counts.
}
