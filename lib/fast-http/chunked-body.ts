/** What is in a body that comes in chunks? @see RFC 9112 §7.1 */
import type { Bytes, Count } from '../runtime/clock.ts'
import { fieldLines } from './fields.ts'
import { MalformedAnswer } from './answer-handler.ts'

/** Of a chunk's size with its extensions, and of all trailing fields. */
const longestLine: Bytes = 256
const longestTrailer: Bytes = 8 * 1024

const sizeLine = /^([\da-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/i
const trailerLine = new RegExp(`^${fieldLines}$`)

/** Decodes one body. Nothing is taken that another reader could take for something else. */
export class ChunkedBody {
  isOver = false
  #part: 'size' | 'data' | 'data-end' | 'trailer' = 'size'
  #line = ''
  #trailerBytes: Bytes = 0
  /** Of the chunk under way. */
  #left: Bytes = 0

  /**
   * @returns what the piece holds of the body, and how many of its bytes belong to it with all framing
   * @throws {MalformedAnswer}
   */
  read(piece: Buffer): { readonly data: Buffer; readonly taken: Count } {
    const parts: Buffer[] = []
    let at = 0
    while (at < piece.length && !this.isOver) {
      if (this.#part === 'data') {
        const part = piece.subarray(at, at + this.#left)
        parts.push(part)
        at += part.length
        this.#left -= part.length
        if (this.#left === 0) this.#part = 'data-end'
      } else {
        at = this.#readLine(piece, at)
      }
    }
    const [only] = parts
    const data = only !== undefined && parts.length === 1 ? only : Buffer.concat(parts)
    return { data, taken: at }
  }

  #readLine(piece: Buffer, at: Count): Count {
    const end = piece.indexOf('\n', at, 'latin1')
    const next = end < 0 ? piece.length : end + 1
    if (this.#line.length + next - at > longestLine) throw new MalformedAnswer('a line is too long')
    this.#line += piece.toString('latin1', at, next)
    if (end < 0) return next
    if (!this.#line.endsWith('\r\n')) throw new MalformedAnswer('a line ends without CR')
    const line = this.#line.slice(0, -2)
    this.#line = ''
    this.#lineEnded(line)
    return next
  }

  #lineEnded(line: string): void {
    if (this.#part === 'data-end') {
      if (line !== '') throw new MalformedAnswer('a chunk is longer than its size')
      this.#part = 'size'
    } else if (this.#part === 'trailer') {
      if (line === '') this.isOver = true
      this.#trailerBytes += line.length + 2
      if (
        this.#trailerBytes > longestTrailer ||
        (line !== '' && !trailerLine.test(`${line}\r\n`))
      ) {
        throw new MalformedAnswer('the fields after the chunks cannot be read')
      }
    } else {
      const size = Number.parseInt(sizeLine.exec(line)?.[1] ?? '', 16)
      if (Number.isNaN(size)) throw new MalformedAnswer('a chunk has no size')
      this.#left = size
      this.#part = size === 0 ? 'trailer' : 'data'
    }
  }
}
