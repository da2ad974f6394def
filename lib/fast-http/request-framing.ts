/**
 * Where does each request of a connection end? Only as far as it takes not to read on while an answer is under way: what the requests
 * mean is for the parser that gets the bytes, which also refuses whatever is malformed.
 * @see RFC 9112 §2.2, §6, §7.1
 */
import type { Bytes, Count } from '../runtime/clock.ts'

const carriageReturn = 0x0d
const lineFeed = 0x0a

/** Follows one head through the pieces it comes in. */
export class HeadFraming {
  /** The empty line has come. */
  isOver = false
  /** A line has ended in LF alone. */
  isBare = false
  /** So far. Empty lines before the request line do not count. */
  bytes: Bytes = 0
  /** The last byte so far, 0 before the first. */
  previous = 0
  #lineBytes: Bytes = 0
  #hasLine = false

  /** @returns how many of the bytes belong to the head */
  follow(piece: Buffer): Count {
    let at = 0
    let ignored: Bytes = 0
    while (at < piece.length && !this.isOver) {
      const end = piece.indexOf(lineFeed, at)
      if (end < 0) {
        this.#lineBytes += piece.length - at
        at = piece.length
      } else {
        const before = end > 0 ? piece[end - 1] : this.previous
        const hasReturn = before === carriageReturn
        if (!hasReturn) this.isBare = true
        const isEmpty = this.#lineBytes + end - at === (hasReturn ? 1 : 0)
        if (isEmpty) this.isOver = this.#hasLine
        else this.#hasLine = true
        this.#lineBytes = 0
        at = end + 1
        if (!this.#hasLine) ignored = at
      }
    }
    if (at > 0) this.previous = piece[at - 1] ?? 0
    if (this.#hasLine || this.#lineBytes > 0) this.bytes += at - ignored
    return at
  }
}

/** The same bytes with CR before each LF that has none. @param previous the byte before the piece, 0 when there is none */
export function withCarriageReturns(piece: Buffer, previous: number): Buffer {
  const pieces: Buffer[] = []
  let from = 0
  for (let at = piece.indexOf(lineFeed); at >= 0; at = piece.indexOf(lineFeed, at + 1)) {
    const before = at > 0 ? piece[at - 1] : previous
    if (before === carriageReturn) continue
    pieces.push(piece.subarray(from, at), crlf)
    from = at + 1
  }
  if (pieces.length === 0) return piece
  pieces.push(piece.subarray(from))
  return Buffer.concat(pieces)
}

const crlf = Buffer.from('\r\n')

/** Follows a body of known length. */
export class LengthFraming {
  #left: Bytes

  constructor(length: Bytes) {
    this.#left = length
  }

  /** @returns how many of the bytes belong to the body; 0 when all of it has come */
  follow(piece: Buffer): Count {
    const taken = Math.min(this.#left, piece.length)
    this.#left -= taken
    return taken
  }
}

/** Follows a body in chunks. */
export class ChunkedFraming {
  #part: 'size' | 'data' | 'trailer' | 'over' = 'size'
  #line = ''
  /** Of a chunk and the line end after it. */
  #left: Bytes = 0

  /** @returns how many of the bytes belong to the body; 0 when all of it has come, or when it is no such body */
  follow(piece: Buffer): Count {
    let at = 0
    while (at < piece.length && this.#part !== 'over') {
      if (this.#part === 'data') {
        const taken = Math.min(this.#left, piece.length - at)
        this.#left -= taken
        at += taken
        if (this.#left === 0) this.#part = 'size'
        continue
      }
      const end = piece.indexOf(lineFeed, at)
      const until = end < 0 ? piece.length : end + 1
      // What is longer is refused by the parser.
      if (this.#line.length < longestLine) this.#line += piece.toString('latin1', at, until)
      at = until
      if (end >= 0) this.#lineEnded()
    }
    return at
  }

  #lineEnded(): void {
    const line = this.#line.trim()
    this.#line = ''
    if (this.#part === 'trailer') {
      if (line === '') this.#part = 'over'
      return
    }
    const size = Number.parseInt(/^[\da-f]{1,12}/i.exec(line)?.[0] ?? '', 16)
    if (Number.isNaN(size)) this.#part = 'over'
    else if (size === 0) this.#part = 'trailer'
    else {
      this.#part = 'data'
      this.#left = size + crlf.length
    }
  }
}

const longestLine: Bytes = 64
