import type { Bytes, Count } from '../runtime/clock.ts'
import { OvsdbError } from './ovsdb-error.ts'

/** One complete JSON object as it stood on the wire. */
export interface JsonText {
  readonly bytes: Buffer
  /** Offsets of the colons and commas between the object's own members, in order. */
  readonly marks: readonly number[]
}

export interface JsonStreamLimits {
  readonly messageBytes: Bytes
  /** Brackets within brackets; OVSDB needs about eight. */
  readonly depth: Count
}

const quote = 0x22
const backslash = 0x5c
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a

/** A JSON-RPC message has at most five members; more marks than this are no message. */
const mostMarks = 32

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/**
 * Cuts a byte stream into JSON objects. RFC 7047 §4 puts messages one after the other without any delimiter, so the
 * end of one is known only by its brackets. Nothing is parsed here; a text that is no JSON inside its brackets is found
 * by whoever reads it.
 */
export class JsonStream {
  readonly #limits: JsonStreamLimits
  #parts: Buffer[] = []
  #length = 0
  #depth = 0
  /** The closing byte that each open bracket waits for. */
  readonly #closers: Uint8Array
  #isInString = false
  #isEscaped = false
  #marks: number[] = []

  constructor(limits: JsonStreamLimits) {
    this.#limits = limits
    this.#closers = new Uint8Array(limits.depth)
  }

  /** @throws OvsdbError `protocol` for what cannot become an object, or one beyond the limits; the stream is then of no use */
  push(chunk: Buffer): JsonText[] {
    const found: JsonText[] = []
    let from = 0
    let at = 0
    while (at < chunk.length) {
      if (this.#depth === 0) {
        const first = chunk[at] ?? 0
        at += 1
        from = at
        if (isSpace(first)) continue
        if (first !== openBrace) throw new OvsdbError('protocol', 'The message is no JSON object')
        from = at - 1
        this.#depth = 1
        this.#closers[0] = closeBrace
      }
      at = this.#scan(chunk, at, from)
      this.#keep(chunk.subarray(from, at))
      if (this.#depth === 0) found.push(this.#take())
      from = at
    }
    return found
  }

  /** Goes on to the end of the object or of the chunk. @returns the offset behind what was read */
  #scan(chunk: Buffer, start: number, from: number): number {
    const { depth: deepest } = this.#limits
    const before = this.#length - from
    let at = start
    let depth = this.#depth
    let isInString = this.#isInString
    while (at < chunk.length && depth > 0) {
      const byte = chunk[at] ?? 0
      at += 1
      if (isInString) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (byte === backslash) this.#isEscaped = true
        else if (byte === quote) isInString = false
      } else if (byte === quote) {
        isInString = true
      } else if (byte === openBrace || byte === openBracket) {
        if (depth === deepest) throw new OvsdbError('protocol', 'The message is nested too deeply')
        // In ASCII both closing brackets come two after their opening ones.
        this.#closers[depth] = byte + 2
        depth += 1
      } else if (byte === closeBrace || byte === closeBracket) {
        depth -= 1
        // Taking one kind for the other would swallow every later message as part of this one.
        if (this.#closers[depth] !== byte) throw new OvsdbError('protocol', 'The brackets differ')
      } else if (depth === 1 && (byte === comma || byte === colon)) {
        this.#mark(before + at - 1)
      }
    }
    this.#depth = depth
    this.#isInString = isInString
    return at
  }

  #mark(offset: number): void {
    if (this.#marks.length >= mostMarks) {
      throw new OvsdbError('protocol', 'The message has too many members')
    }
    this.#marks.push(offset)
  }

  #keep(part: Buffer): void {
    this.#length += part.length
    if (this.#length > this.#limits.messageBytes) {
      throw new OvsdbError('protocol', 'The message is longer than the limit')
    }
    this.#parts.push(part)
  }

  #take(): JsonText {
    const [only] = this.#parts
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts)
    const text = { bytes, marks: this.#marks }
    this.#parts = []
    this.#length = 0
    this.#marks = []
    return text
  }
}
