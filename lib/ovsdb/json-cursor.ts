import { OvsdbError } from './ovsdb-error.ts'

const quote = 0x22
const backslash = 0x5c

/**
 * Walks through a JSON value that is too large to be parsed at once: the first dump of a big database is tens of
 * megabytes in one value, and `JSON.parse` would hold up every guest meanwhile. Members and items are visited in order
 * and small values are parsed one by one, so that the caller can pause between them.
 */
export class JsonCursor {
  readonly #bytes: Buffer
  #at = 0

  /** Reads the one value that the bytes hold. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Visits an object's members: the cursor stands before each value, which is skipped unless it is read. */
  *members(): Generator<string, void, void> {
    this.#expect('{')
    if (this.#take('}')) return
    do {
      const key = this.read()
      if (typeof key !== 'string') throw this.#broken()
      this.#expect(':')
      const at = this.#at
      yield key
      if (this.#at === at) this.skip()
    } while (this.#take(','))
    this.#expect('}')
  }

  /** Visits an array's items in the same way; yields their places. */
  *items(): Generator<number, void, void> {
    this.#expect('[')
    if (this.#take(']')) return
    let place = 0
    do {
      const at = this.#at
      yield place
      if (this.#at === at) this.skip()
      place += 1
    } while (this.#take(','))
    this.#expect(']')
  }

  /** Parses the value at the cursor and goes behind it. */
  read(): unknown {
    const from = this.#skipSpace()
    this.skip()
    try {
      return JSON.parse(this.#bytes.toString('utf8', from, this.#at)) as unknown
    } catch (cause) {
      throw new OvsdbError('protocol', 'The message is no JSON', { cause })
    }
  }

  skip(): void {
    const bytes = this.#bytes
    let at = this.#skipSpace()
    let depth = 0
    while (at < bytes.length) {
      const byte = bytes[at] ?? 0
      if (byte === quote) {
        at = this.#endOfString(at)
        if (depth === 0) break
        continue
      }
      if (byte === 0x7b || byte === 0x5b) depth += 1
      else if (byte === 0x7d || byte === 0x5d) {
        // The bracket of the value around this one: a bare number or word ended before it.
        if (depth === 0) break
        depth -= 1
        if (depth === 0) {
          at += 1
          break
        }
      } else if (depth === 0 && (byte === 0x2c || byte === 0x3a)) break
      at += 1
    }
    this.#at = at
  }

  #endOfString(from: number): number {
    let at = from + 1
    while (at < this.#bytes.length) {
      const byte = this.#bytes[at]
      if (byte === backslash) at += 1
      else if (byte === quote) return at + 1
      at += 1
    }
    throw this.#broken()
  }

  #skipSpace(): number {
    while (this.#at < this.#bytes.length && (this.#bytes[this.#at] ?? 0) <= 0x20) this.#at += 1
    return this.#at
  }

  #take(character: string): boolean {
    if (this.#bytes[this.#skipSpace()] !== character.charCodeAt(0)) return false
    this.#at += 1
    return true
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw this.#broken()
  }

  #broken(): OvsdbError {
    return new OvsdbError('protocol', `The message is no JSON at offset ${this.#at}`)
  }
}
