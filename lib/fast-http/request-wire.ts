/** How does Node's HTTP server read a connection one request at a time, whatever the client sends ahead? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import { Duplex } from 'node:stream'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Bytes, Count } from '../runtime/clock.ts'
import {
  ChunkedFraming,
  HeadFraming,
  LengthFraming,
  withCarriageReturns,
} from './request-framing.ts'

/** Given on when a body goes on past the end that was expected, which is for the parser to judge. */
const unexpectedBytes: Bytes = 256

/** What the wire needs of the connection's reader. */
export interface WireOwner {
  /** More can be fed. */
  wanted(): void
  /** Node's server has ended the connection. */
  wireEnded(): void
}

/**
 * A connection as Node's server gets it. Node's parser reads a whole chunk of the socket at once and makes two objects for each request
 * in it; so it is fed no further than to the end of one request, until that request is answered.
 */
export class RequestWire extends Duplex {
  readonly client: ByteSocket
  /** The client has named the request as its last. */
  isLastForClient = false
  readonly #owner: WireOwner
  #head = new HeadFraming()
  #request: IncomingMessage | undefined
  #body: LengthFraming | ChunkedFraming | undefined
  #isFollowed = false
  #isBlocked = false
  #isStopped = false

  constructor(client: ByteSocket, owner: WireOwner) {
    super({ decodeStrings: false, autoDestroy: true })
    this.client = client
    this.#owner = owner
    this.on('error', ignoreError)
  }

  /** The head of a request has been read, and it is not answered. */
  get isBusy(): boolean {
    return this.#request !== undefined
  }

  /** All of a request has been read, and it is not answered. */
  get isAnswering(): boolean {
    return this.#request?.complete === true
  }

  /** Of a head that is not whole, or of the request under way. */
  get headBytes(): Bytes {
    return this.#head.bytes
  }

  /** Lines of the request's head ended in LF alone. @see RFC 9112 §2.2 */
  get isHeadBare(): boolean {
    return this.#head.isBare
  }

  /** More bytes came together with the head. */
  get isHeadFollowed(): boolean {
    return this.#isFollowed
  }

  /** Node's server has read the head of a request, and the response is as it made it. */
  began(request: IncomingMessage, response: ServerResponse): void {
    this.isLastForClient = !response.shouldKeepAlive
    this.#request = request
    this.#body = bodyFraming(request)
    response.once('close', () => {
      this.#request = undefined
      this.#body = undefined
      this.#head = new HeadFraming()
      this.#owner.wanted()
    })
  }

  /** Nothing more is fed. */
  stop(): void {
    this.#isStopped = true
  }

  /** @returns how many of the bytes were taken */
  feed(bytes: Buffer): Count {
    let at = 0
    while (at < bytes.length && this.writable && !this.#isStopped) {
      this.#isBlocked = this.readableLength > 0
      if (this.#isBlocked) break
      const taken =
        this.#request === undefined
          ? this.#feedHead(at === 0 ? bytes : bytes.subarray(at))
          : this.#feedBody(this.#request, bytes.subarray(at))
      if (taken === 0) break
      at += taken
    }
    return at
  }

  #feedHead(bytes: Buffer): Count {
    // The parser took the head before for no request, and answers that, or waits for more.
    if (this.#head.isOver) this.#head = new HeadFraming()
    const { previous } = this.#head
    const taken = this.#head.follow(bytes)
    this.#isFollowed = taken < bytes.length
    const piece = bytes.subarray(0, taken)
    this.push(this.#head.isBare ? withCarriageReturns(piece, previous) : piece)
    return taken
  }

  #feedBody({ complete: isComplete }: IncomingMessage, bytes: Buffer): Count {
    if (isComplete) return 0
    const taken = this.#body?.follow(bytes) || Math.min(unexpectedBytes, bytes.length)
    this.push(bytes.subarray(0, taken))
    return taken
  }

  /** As `net.ByteSocket` has it; Node's server calls it after the last answer. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  override _read(): void {
    if (this.#isBlocked) this.#owner.wanted()
  }

  override _write(
    chunk: string | Buffer,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    if (typeof chunk === 'string') this.client.write(chunk, encoding, done)
    else this.client.write(chunk, done)
  }

  override _writev(
    chunks: readonly { chunk: string | Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const last = chunks.length - 1
    this.client.cork()
    for (const [place, { chunk, encoding }] of chunks.entries()) {
      this._write(chunk, encoding, place === last ? done : ignoreError)
    }
    this.client.uncork()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#owner.wireEnded()
    done(error)
  }
}

function bodyFraming({ headers }: IncomingMessage): LengthFraming | ChunkedFraming {
  return headers['transfer-encoding'] === undefined
    ? new LengthFraming(Number(headers['content-length'] ?? 0) || 0)
    : new ChunkedFraming()
}

function ignoreError(): void {
  // The connection's own end is what counts.
}
