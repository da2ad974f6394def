/** How are GETs without a body served on their raw sockets, and everything else by Node's HTTP server, on the same connections? */
import type { ByteSocket } from '../sockets/byte-socket.ts'
import { systemClock, type Bytes, type Cancel, type Count } from '../runtime/clock.ts'
import { readGetRequest, readGetFields } from './request-head.ts'
import { IncomingGet } from './incoming-get.ts'
import {
  RequestReader,
  type ConnectionReader,
  type ReaderHost,
  type ReaderOptions,
} from './request-reader.ts'

/** As many as any client sends ten times over. */
const mostFields: Count = 128

/** Heads that came lately, as clients repeat theirs; longer ones than that are rarely the same twice. */
const mostKnown: Count = 256
const longestKnown: Bytes = 512

/** Serves connections. Needs no end of its own: what is left of a connection at the end is its socket. */
export class GetServer implements ReaderHost {
  readonly #options: ReaderOptions
  readonly #known = new Map<string, IncomingGet>()
  readonly #readers = new Set<RequestReader>()
  readonly keepAlive: string
  /** Time on the wire is real time, as it is for Node's server. */
  readonly clock = systemClock
  #isClosing = false
  #sweep: Cancel | undefined
  #date = ''
  #dateSecond = 0

  constructor(options: ReaderOptions) {
    this.#options = options
    this.keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(options.timeoutKeepAlive / 1_000)}\r\n`
  }

  /** A connection was accepted; nothing was read from it yet. */
  accept(socket: ByteSocket): ConnectionReader {
    const made = new RequestReader(this, socket, this.#options)
    this.#readers.add(made)
    this.#sweep ??= this.#scheduleSweep()
    return made
  }

  /** Ends connections that wait between two requests, or have brought none yet; the others after their answers. */
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

  forget(gone: RequestReader): void {
    this.#readers.delete(gone)
  }

  /** @returns `undefined` unless so many of the bytes are one GET without a body */
  read(chunk: Buffer, length: Count): IncomingGet | undefined {
    if (length > this.#options.headBytes) return undefined
    const text = chunk.toString('latin1', 0, length)
    const known = this.#known.get(text)
    if (known !== undefined) return known
    const request = readGetRequest(text)
    const fields = request && readGetFields(request.block)
    if (request === undefined || fields === undefined) return undefined
    if (fields.fields.length > mostFields * 2) return undefined
    const made = new IncomingGet(request.target, fields)
    if (text.length <= longestKnown) {
      if (this.#known.size >= mostKnown) this.#known.clear()
      this.#known.set(text, made)
    }
    return made
  }

  /** The Date of an answer made now. */
  get date(): string {
    const second = Math.floor(this.clock.wallTime() / 1_000)
    if (second !== this.#dateSecond) {
      this.#dateSecond = second
      this.#date = `Date: ${new Date(second * 1_000).toUTCString()}\r\n`
    }
    return this.#date
  }

  #scheduleSweep(): Cancel {
    const { timeoutHead, timeoutKeepAlive } = this.#options
    const span = Math.min(1_000, Math.max(5, Math.min(timeoutHead, timeoutKeepAlive) / 4))
    return this.clock.schedule(span, () => {
      const now = this.clock.now()
      for (const each of this.#readers) each.checkTime(now)
      this.#sweep = this.#readers.size > 0 ? this.#scheduleSweep() : undefined
    })
  }
}
