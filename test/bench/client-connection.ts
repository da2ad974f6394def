import type { Socket } from 'node:net'

/** One answer, as far as a benchmark looks at it. */
export interface BenchAnswer {
  readonly status: number
  /** True when the body holds the text the target expects. */
  readonly right: boolean
  readonly reason: string | undefined
}

const endOfHead = Buffer.from('\r\n\r\n')

/**
 * A client that costs little, for load: writes a prepared request and reads one answer with a Content-Length, a chunked
 * body, or one that ends with the connection. One request at a time.
 */
export class ClientConnection {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #size = 0
  #pending: ((answer: BenchAnswer | undefined) => void) | undefined
  #expected = ''
  #ended = false
  #failure: string | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      this.#failure = cause.code
      this.#end()
    })
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  get usable(): boolean {
    return !this.#ended
  }

  /** The kernel's word for why the connection broke, such as `ECONNREFUSED`; absent when it just ended. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** @returns `undefined` when the connection broke before the answer was whole */
  ask(request: string, expected: string): Promise<BenchAnswer | undefined> {
    this.#chunks = []
    this.#size = 0
    this.#expected = expected
    return new Promise((resolve) => {
      if (this.#ended) {
        resolve(undefined)
        return
      }
      this.#pending = resolve
      this.#socket.write(request, 'latin1')
    })
  }

  destroy(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#size)
    if (this.#chunks.length > 1) this.#chunks = [all]
    const end = all.indexOf(endOfHead)
    if (end < 0) return
    const head = all.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    const complete =
      length === undefined
        ? /\r\ntransfer-encoding: *chunked/i.test(head) &&
          all.toString('latin1').endsWith('\r\n0\r\n\r\n')
        : all.length >= end + endOfHead.length + Number(length)
    if (complete) this.#answer(head, all)
  }

  #answer(head: string, all: Buffer): void {
    const pending = this.#pending
    this.#pending = undefined
    // Whoever keeps connections has to heed this word: the next request would meet a closed door.
    if (/\r\nconnection: *close/i.test(head)) this.#ended = true
    pending?.({
      status: Number(head.slice(9, 12)),
      right: all.includes(this.#expected),
      reason: /\r\nx-overlapd-reason: *([^\r]*)/i.exec(head)?.[1],
    })
  }

  #end(): void {
    this.#ended = true
    const all = Buffer.concat(this.#chunks, this.#size)
    const end = all.indexOf(endOfHead)
    // An answer without a length is whole when the connection ends; one with a length was cut off.
    if (end >= 0 && this.#pending !== undefined) {
      const head = all.toString('latin1', 0, end)
      if (!/\r\n(content-length|transfer-encoding):/i.test(head)) {
        this.#answer(head, all)
        return
      }
    }
    const pending = this.#pending
    this.#pending = undefined
    pending?.(undefined)
  }
}
