/** How is one response read from the pieces it comes in, whatever its framing? @see RFC 9112 §6.3 */
import type { Bytes } from '../runtime/clock.ts'
import { MalformedAnswer } from './answer-handler.ts'
import { ChunkedBody } from './chunked-body.ts'
import { readResponseHead, type ResponseHead } from './response-head.ts'

/** Of all heads together: interim ones come before the final one. */
const longestHead: Bytes = 16 * 1024

const nothing = Buffer.alloc(0)

/** Reads the response to one request. */
export class ResponseReader {
  /** Of the final response, once it is here. */
  head: ResponseHead | undefined
  /** The response is whole. */
  isOver = false
  /** Bytes came behind it, which answer no request. */
  hasExcess = false
  readonly #isToHead: boolean
  #unread: Buffer = nothing
  #headBytes: Bytes = 0
  #left: Bytes = 0
  #chunked: ChunkedBody | undefined

  /** @param isToHead whether the request was HEAD */
  constructor(isToHead: boolean) {
    this.#isToHead = isToHead
  }

  /**
   * @returns what the piece holds of the body
   * @throws {MalformedAnswer}
   */
  read(piece: Buffer): Buffer {
    if (this.head !== undefined) return this.#readBody(this.head, piece)
    let bytes = this.#unread.length === 0 ? piece : Buffer.concat([this.#unread, piece])
    for (;;) {
      const end = bytes.indexOf('\r\n\r\n', 0, 'latin1') + 4
      if (this.#headBytes + Math.max(end, end < 4 ? bytes.length : 0) > longestHead) {
        throw new MalformedAnswer('the head is too long')
      }
      if (end < 4) {
        this.#unread = bytes
        return nothing
      }
      const head = readResponseHead(bytes.toString('latin1', 0, end), this.#isToHead)
      if (head === undefined) throw new MalformedAnswer('the head cannot be read')
      this.#headBytes += end
      bytes = bytes.subarray(end)
      if (head.status < 200) continue
      this.#unread = nothing
      this.head = head
      this.#left = head.length
      if (head.framing === 'chunked') this.#chunked = new ChunkedBody()
      this.isOver = head.framing === 'none' || (head.framing === 'length' && head.length === 0)
      return this.#readBody(head, bytes)
    }
  }

  /** The connection has ended. @returns true when that is the end of a whole response */
  end(): boolean {
    if (this.head?.framing === 'until-close') this.isOver = true
    return this.isOver
  }

  #readBody({ framing }: ResponseHead, bytes: Buffer): Buffer {
    if (this.isOver || bytes.length === 0) {
      this.hasExcess ||= bytes.length > 0
      return nothing
    }
    if (framing === 'until-close') return bytes
    if (this.#chunked !== undefined) {
      const { data, taken } = this.#chunked.read(bytes)
      this.isOver = this.#chunked.isOver
      this.hasExcess = taken < bytes.length
      return data
    }
    const data = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
    this.#left -= data.length
    this.isOver = this.#left === 0
    this.hasExcess = data.length < bytes.length
    return data
  }
}
