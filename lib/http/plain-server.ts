/** How are plain requests served on their raw sockets, and everything else by Node's HTTP server, on the same connections? */
import { STATUS_CODES, type IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import {
  systemClock,
  type Bytes,
  type Cancel,
  type Count,
  type Milliseconds,
  type MonotonicMilliseconds,
} from '../clock.ts'
import {
  readPlainRequest,
  readPlainRequestFields,
  type PlainFields,
  type PlainRequestFields,
} from './plain-head.ts'

/** Who does what with a connection, and for how long. */
export interface PlainServerOptions {
  /** Serves one plain request. Node's server would call its listener with the like. */
  readonly serve: (request: PlainIncoming, response: PlainResponse) => void
  /** Takes over a connection on which something else came, as a listener of Node's server for `connection` does. */
  readonly takeOver: (socket: Socket) => void
  /** Nothing came for too long on a connection that has asked nothing yet; it was taken over a moment ago. */
  readonly timedOut: (socket: Socket) => void
  readonly headBytes: Bytes
  readonly timeoutHead: Milliseconds
  readonly timeoutKeepAlive: Milliseconds
}

/** Time on the wire is real time, as it is for Node's server. */
const clock = systemClock

/** As many as any client sends ten times over. */
const mostFields: Count = 128

/** Field lines that came lately, as clients repeat theirs; longer ones than that are rarely the same twice. */
const mostKnown: Count = 256
const longestKnown: Bytes = 512

/** An answer up to that size goes out in one piece, head and all. */
const mostJoined: Bytes = 64 * 1024

/** Where a connection's reader hangs. */
const reader = Symbol('reader')
interface ReadSocket extends Socket {
  [reader]?: PlainReader | undefined
}

/** Serves connections. Needs no end of its own: what is left of a connection at the end is its socket. */
export class PlainServer {
  readonly #options: PlainServerOptions
  readonly #known = new Map<string, PlainRequestFields>()
  readonly #readers = new Set<PlainReader>()
  readonly keepAlive: string
  #isClosing = false
  #sweep: Cancel | undefined
  #date = ''
  #dateSecond = 0

  constructor(options: PlainServerOptions) {
    this.#options = options
    this.keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(options.timeoutKeepAlive / 1_000)}\r\n`
  }

  /** A connection was accepted; nothing was read from it yet. */
  accept(socket: Socket): void {
    const made = new PlainReader(this, socket, this.#options)
    this.#readers.add(made)
    this.#sweep ??= this.#scheduleSweep()
  }

  /** Ends connections that wait between two requests, or have asked nothing yet; the others after their answers. */
  close(): void {
    this.#isClosing = true
    for (const each of this.#readers) each.closeIdle()
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Ends every connection that is served here. */
  closeAll(): void {
    this.#sweep?.()
    this.#sweep = undefined
    for (const each of this.#readers) each.socket.destroy()
  }

  forget(gone: PlainReader): void {
    this.#readers.delete(gone)
  }

  /** @returns `undefined` unless the bytes are one plain request */
  read(chunk: Buffer): PlainIncoming | undefined {
    if (chunk.length > this.#options.headBytes) return undefined
    const plain = readPlainRequest(chunk.toString('latin1'))
    const fields = plain && this.#fieldsOf(plain.block)
    return plain && fields && new PlainIncoming(plain.target, fields)
  }

  /** The Date of an answer made now. */
  get date(): string {
    const second = Math.floor(clock.wallTime() / 1_000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#date = `Date: ${new Date(second * 1_000).toUTCString()}\r\n`
    }
    return this.#date
  }

  #fieldsOf(block: string): PlainRequestFields | undefined {
    const known = this.#known.get(block)
    if (known !== undefined) return known
    const fields = readPlainRequestFields(block)
    if (fields === undefined || fields.fields.length > mostFields * 2) return undefined
    if (block.length <= longestKnown) {
      if (this.#known.size >= mostKnown) this.#known.clear()
      this.#known.set(block, fields)
    }
    return fields
  }

  #scheduleSweep(): Cancel {
    const { timeoutHead, timeoutKeepAlive } = this.#options
    const span = Math.min(1_000, Math.max(5, Math.min(timeoutHead, timeoutKeepAlive) / 4))
    return clock.schedule(span, () => {
      const now = clock.now()
      for (const each of this.#readers) each.checkTime(now)
      this.#sweep = this.#readers.size > 0 ? this.#scheduleSweep() : undefined
    })
  }
}

/** A request as Node's server would show it, as far as anybody looks. */
export class PlainIncoming {
  readonly method = 'GET'
  readonly url: string
  readonly rawHeaders: PlainFields
  /** The client ends the connection after the answer. */
  readonly isLast: boolean
  #headers: IncomingHttpHeaders | undefined

  constructor(target: string, { fields, isLast }: PlainRequestFields) {
    this.url = target
    this.rawHeaders = fields
    this.isLast = isLast
  }

  /** By name in lower case; values of one name are joined. */
  get headers(): IncomingHttpHeaders {
    this.#headers ??= joinedFields(this.rawHeaders)
    return this.#headers
  }
}

function joinedFields(fields: PlainFields): IncomingHttpHeaders {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before}, ${value}`
  }
  return headers
}

/** Reads one connection until something comes that is not plain. */
class PlainReader {
  readonly socket: ReadSocket
  readonly #server: PlainServer
  readonly #options: PlainServerOptions
  #response: PlainResponse | undefined
  /** Came while an answer is under way. */
  #unread: Buffer[] | undefined
  #hasAsked = false
  #since: MonotonicMilliseconds

  constructor(server: PlainServer, socket: ReadSocket, options: PlainServerOptions) {
    this.socket = socket
    this.#server = server
    this.#options = options
    this.#since = clock.now()
    socket[reader] = this
    socket.on('data', dataCame)
    socket.on('end', endCame)
    socket.on('error', ignoreError)
    socket.on('close', closeCame)
  }

  take(chunk: Buffer): void {
    if (this.#response !== undefined) {
      this.#unread ??= []
      this.#unread.push(chunk)
      this.socket.pause()
      return
    }
    const request = this.#server.read(chunk)
    if (request === undefined) {
      this.#handOver(chunk)
      return
    }
    this.#hasAsked = true
    const response = new PlainResponse(this.#server, this, request.isLast)
    this.#response = response
    this.#options.serve(request, response)
  }

  /** An answer is out, all of it. */
  answered(shouldKeepAlive: boolean): void {
    this.#response = undefined
    this.#since = clock.now()
    const { socket } = this
    if (!shouldKeepAlive || this.#server.isClosing) {
      // All is with the kernel: closing ends the connection as a shutdown before it would.
      socket.destroy()
      return
    }
    const unread = this.#unread
    if (unread === undefined) return
    this.#unread = undefined
    // Not from within the answer, whose end may have more to do.
    process.nextTick(() => {
      if (socket.destroyed) return
      this.take(unread.length === 1 ? (unread[0] ?? Buffer.alloc(0)) : Buffer.concat(unread))
      if (this.#unread === undefined) socket.resume()
    })
  }

  /** The other side has ended its half: nobody waits for an answer that has not begun. */
  ended(): void {
    this.socket.destroySoon()
  }

  closed(): void {
    this.#server.forget(this)
    this.#response?.gone()
  }

  closeIdle(): void {
    if (this.#response === undefined) this.socket.destroySoon()
  }

  checkTime(now: MonotonicMilliseconds): void {
    if (this.#response !== undefined) return
    const age = now - this.#since
    if (this.#hasAsked) {
      if (age >= this.#options.timeoutKeepAlive) this.socket.destroySoon()
    } else if (age >= this.#options.timeoutHead) {
      this.#handOver(undefined)
      this.#options.timedOut(this.socket)
    }
  }

  #handOver(chunk: Buffer | undefined): void {
    const { socket } = this
    this.#server.forget(this)
    socket[reader] = undefined
    socket.off('data', dataCame)
    socket.off('end', endCame)
    socket.off('close', closeCame)
    this.#options.takeOver(socket)
    if (chunk !== undefined) socket.emit('data', chunk)
  }
}

function dataCame(this: ReadSocket, chunk: Buffer): void {
  this[reader]?.take(chunk)
}

function endCame(this: ReadSocket): void {
  this[reader]?.ended()
}

function closeCame(this: ReadSocket): void {
  this[reader]?.closed()
}

function ignoreError(): void {
  // The close that follows is what counts.
}

/** Who wants to hear how an answer goes. */
export interface PlainListener {
  /** All of it is with the kernel. */
  finished?(): void
  /** More can be taken. */
  drained?(): void
  /** The connection is gone, and the answer was not out. */
  gone?(): void
}

/** The answer to a plain request: what is used of Node's `ServerResponse`, written in as few pieces as may be. */
export class PlainResponse {
  shouldKeepAlive: boolean
  listener: PlainListener | undefined
  headersSent = false
  writableEnded = false
  writableFinished = false
  readonly #server: PlainServer
  readonly #reader: PlainReader
  /** Made and not written yet. */
  #head = ''
  #isChunked = false
  #hasBody = true
  #awaitsDrain = false
  /** Of the length that the head promises, what is still to be written. */
  #left: Bytes = 0

  constructor(server: PlainServer, reader: PlainReader, isLast: boolean) {
    this.#server = server
    this.#reader = reader
    this.shouldKeepAlive = !isLast
  }

  get socket(): Socket {
    return this.#reader.socket
  }

  get destroyed(): boolean {
    return this.#reader.socket.destroyed
  }

  /**
   * @param headers names and values in turn, or by name; what frames the body but its length is added
   * @throws Error when there was a head already: a second one would be read as the answer to somebody else's request
   */
  writeHead(status: number, headers: readonly string[] | Readonly<Record<string, string>>): this {
    if (this.headersSent) throw new Error('The answer has a head already')
    const fields = Array.isArray(headers)
      ? (headers as readonly string[])
      : Object.entries(headers as Readonly<Record<string, string>>).flat()
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
    let length: Bytes | undefined
    for (let index = 0; index + 1 < fields.length; index += 2) {
      const name = fields[index] ?? ''
      const value = fields[index + 1] ?? ''
      if (!fieldValue.test(value)) throw new TypeError(`A value of "${name}" cannot be written`)
      if (name.length === 14 && name.toLowerCase() === 'content-length') {
        if (length !== undefined || !decimal.test(value)) throw new TypeError('No length')
        length = Number(value)
      }
      head += `${name}: ${value}\r\n`
    }
    this.#hasBody = status !== 204 && status !== 304
    this.#isChunked = this.#hasBody && length === undefined
    this.#left = length ?? 0
    if (this.#isChunked) head += 'Transfer-Encoding: chunked\r\n'
    const connection = this.shouldKeepAlive ? this.#server.keepAlive : 'Connection: close\r\n'
    this.#head = `${head}${this.#server.date}${connection}\r\n`
    this.headersSent = true
    return this
  }

  /** @returns false when no more can be taken until the listener hears that it can */
  write(chunk: Uint8Array): boolean {
    this.#beginBody()
    if (this.writableEnded || !this.#hasBody || chunk.length === 0) return true
    if (!this.#isWithinLength(chunk)) return false
    const isTaken = this.#isChunked
      ? this.#send(`${chunk.length.toString(16)}\r\n`, chunk, '\r\n')
      : this.#send('', chunk, '')
    if (!isTaken) this.#awaitDrain()
    return isTaken
  }

  end(chunk?: Uint8Array | string): this {
    this.#beginBody()
    if (this.writableEnded) return this
    const last = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (last !== undefined && this.#isChunked) this.write(last)
    if (!this.#isWithinLength(last) || !this.#isWhole) return this.destroy()
    this.writableEnded = true
    if (this.#isChunked) this.#send('0\r\n\r\n', undefined, '')
    else this.#send('', this.#hasBody ? last : undefined, '')
    if (this.socket.writableLength === 0) this.#finish()
    else this.socket.write('', () => this.#finish())
    return this
  }

  destroy(): this {
    this.socket.destroy()
    return this
  }

  gone(): void {
    if (!this.writableFinished) this.listener?.gone?.()
  }

  /** Once, however much is written meanwhile: more listeners than a few make Node warn. */
  #awaitDrain(): void {
    if (this.#awaitsDrain) return
    this.#awaitsDrain = true
    this.socket.once('drain', () => {
      this.#awaitsDrain = false
      this.listener?.drained?.()
    })
  }

  #beginBody(): void {
    if (!this.headersSent) throw new Error('The answer has no head yet')
  }

  /** What is longer than its head says would run into the next answer on the connection, which ends here instead. */
  #isWithinLength(chunk: Uint8Array | undefined): boolean {
    if (chunk === undefined || this.#isChunked || !this.#hasBody) return true
    this.#left -= chunk.length
    if (this.#left < 0) this.destroy()
    return this.#left >= 0
  }

  /** The next answer would be read as the rest of one that is shorter than its head says. */
  get #isWhole(): boolean {
    return this.#isChunked || !this.#hasBody || this.#left === 0
  }

  #finish(): void {
    if (this.writableFinished || this.destroyed) return
    this.writableFinished = true
    this.#reader.answered(this.shouldKeepAlive)
    this.listener?.finished?.()
  }

  #send(before: string, chunk: Uint8Array | undefined, after: string): boolean {
    const { socket } = this
    const start = this.#head + before
    this.#head = ''
    if (chunk === undefined || chunk.length === 0) {
      return start === '' || socket.write(start, 'latin1')
    }
    if (start === '' && after === '') return socket.write(chunk)
    if (chunk.length <= mostJoined) {
      const joined = Buffer.allocUnsafe(start.length + chunk.length + after.length)
      joined.write(start, 0, 'latin1')
      joined.set(chunk, start.length)
      if (after !== '') joined.write(after, start.length + chunk.length, 'latin1')
      return socket.write(joined)
    }
    socket.cork()
    if (start !== '') socket.write(start, 'latin1')
    let isTaken = socket.write(chunk)
    if (after !== '') isTaken = socket.write(after, 'latin1')
    socket.uncork()
    return isTaken
  }
}

const decimal = /^\d{1,15}$/

/** What Node writes into a header as well. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
