/** How is an answer written to a raw socket, in as few pieces as may be? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import { STATUS_CODES } from 'node:http'
import type { Bytes } from '../runtime/clock.ts'

/** Header lines that answers share. */
export interface AnswerLines {
  /** For an answer after which the connection stays. */
  readonly keepAlive: string
  /** The Date of an answer made now. */
  readonly date: string
}

/** The connection an answer goes out on. */
export interface AnsweredConnection {
  readonly socket: ByteSocket
  /** All of the answer is with the kernel. */
  answered(shouldKeepAlive: boolean): void
}

/** Callbacks for the progress of an answer. */
export interface ResponseListener {
  /** All of it is with the kernel. */
  finished?(): void
  /** More can be taken. */
  drained?(): void
  /** The connection is gone, and the answer was not out. */
  gone?(): void
}

/** The answer to a GET without a body: what is used of Node's `ServerResponse`, written in as few pieces as may be. */
export class GetResponse {
  shouldKeepAlive: boolean
  listener: ResponseListener | undefined
  headersSent = false
  writableEnded = false
  writableFinished = false
  readonly #lines: AnswerLines
  readonly #connection: AnsweredConnection
  /** Made and not written yet. */
  #head = ''
  #isChunked = false
  #hasBody = true
  #awaitsDrain = false
  /** Of the length that the head promises, what is still to be written. */
  #left: Bytes = 0

  constructor(lines: AnswerLines, connection: AnsweredConnection, isLast: boolean) {
    this.#lines = lines
    this.#connection = connection
    this.shouldKeepAlive = !isLast
  }

  get socket(): ByteSocket {
    return this.#connection.socket
  }

  /** Bytes that are not with the kernel yet. */
  get writableLength(): Bytes {
    return this.socket.writableLength
  }

  get destroyed(): boolean {
    return this.#connection.socket.destroyed
  }

  /**
   * @param headers names and values in turn, or by name; what frames the body but its length is added
   * @throws Error when there was a head already: a second one would be read as the answer to another request
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
    const connection = this.shouldKeepAlive ? this.#lines.keepAlive : 'Connection: close\r\n'
    this.#head = `${head}${this.#lines.date}${connection}\r\n`
    this.headersSent = true
    return this
  }

  /** @returns false when no more can be taken until the listener is called */
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
    if (!this.shouldKeepAlive) this.socket.holdForEnd?.()
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

  /** What is longer than its head states would run into the next answer on the connection, which ends here instead. */
  #isWithinLength(chunk: Uint8Array | undefined): boolean {
    if (chunk === undefined || this.#isChunked || !this.#hasBody) return true
    this.#left -= chunk.length
    if (this.#left < 0) this.destroy()
    return this.#left >= 0
  }

  /** The next answer would be read as the rest of one that is shorter than its head states. */
  get #isWhole(): boolean {
    return this.#isChunked || !this.#hasBody || this.#left === 0
  }

  #finish(): void {
    if (this.writableFinished || this.destroyed) return
    this.writableFinished = true
    this.#connection.answered(this.shouldKeepAlive)
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
    socket.cork()
    if (start !== '') socket.write(start, 'latin1')
    let isTaken = socket.write(chunk)
    if (after !== '') isTaken = socket.write(after, 'latin1')
    socket.uncork()
    return isTaken || socket.writableLength === 0
  }
}

const decimal = /^\d{1,15}$/

/** What Node writes into a header as well. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
