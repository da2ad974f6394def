import type { Bytes } from '../runtime/clock.ts'

const lineFeed = 0x0a

/**
 * Cuts a stream into lines of JSON. What is held of an unfinished line never grows past the limit, whoever sends it.
 */
export class JsonLines {
  readonly #longest: Bytes
  #pieces: Buffer[] = []
  #held: Bytes = 0

  /** @param longest of one line, its line feed left out */
  constructor(longest: Bytes) {
    this.#longest = longest
  }

  /**
   * The values of the lines that are whole now, in order.
   * @throws {RangeError} a line is too long
   * @throws {SyntaxError} a line is no JSON
   */
  take(chunk: Buffer): readonly unknown[] {
    const values: unknown[] = []
    let from = 0
    for (;;) {
      const end = chunk.indexOf(lineFeed, from)
      const until = end < 0 ? chunk.length : end
      this.#hold(chunk.subarray(from, until))
      if (end < 0) return values
      values.push(JSON.parse(this.#line()))
      from = end + 1
    }
  }

  #hold(piece: Buffer): void {
    if (this.#held + piece.length > this.#longest) throw new RangeError('A line is too long')
    this.#held += piece.length
    if (piece.length > 0) this.#pieces.push(piece)
  }

  #line(): string {
    const line = Buffer.concat(this.#pieces, this.#held).toString('utf8')
    this.#pieces = []
    this.#held = 0
    return line
  }
}
