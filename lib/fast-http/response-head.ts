/**
 * What does the head of a response state, and where does the response end? Whatever can be read in more than one way is refused: the
 * rest of it could be taken for the answer to another client.
 * @see RFC 9112 §4, §5, §6.3
 */
import type { Bytes, Milliseconds } from '../runtime/clock.ts'
import { fieldLines, splitFields, type FlatFields } from './fields.ts'

/** How the end of a body is found: there is none, its length is known, it marks its end itself, or its connection ends. */
export type Framing = 'none' | 'length' | 'chunked' | 'until-close'

/** The head of an interim or final response. */
export interface ResponseHead {
  readonly status: number
  readonly fields: FlatFields
  readonly framing: Framing
  /** Of a body whose length is known. */
  readonly length: Bytes
  /** The server ends the connection after it. */
  readonly isLast: boolean
  /** How long the server announces to keep the connection. */
  readonly keepAlive: Milliseconds | undefined
}

const headPattern = new RegExp(
  `^HTTP/1\\.([01]) ([1-5]\\d\\d)(?: [\\t\\x20-\\x7e\\x80-\\xff]*)?\\r\\n(${fieldLines})\\r\\n$`,
)
/** White space after such a value is taken by some parsers and not by others. */
const paddedFraming = /(?:^|\n)(?:content-length|transfer-encoding):[^\r]*[\t ]\r/i
const decimalLength = /^\d{1,15}$/

/** What the fields state about the message. */
interface Framed {
  length: Bytes | undefined
  isChunked: boolean
  isLast: boolean
  keepAlive: Milliseconds | undefined
}

/**
 * @param text from the status line to the empty line, as Latin-1
 * @param isToHead whether it answers HEAD, after which no body comes
 * @returns `undefined` unless it can be read in one way only
 */
export function readResponseHead(text: string, isToHead: boolean): ResponseHead | undefined {
  const match = headPattern.exec(text)
  const status = Number(match?.[2])
  // No request of ours names another protocol.
  if (match === null || status === 101) return undefined
  const isOld = match[1] === '0'
  const block = match[3] ?? ''
  if (paddedFraming.test(block)) return undefined
  const fields = splitFields(block, 'trimmed')
  const framed = fields && readFraming(fields, isOld)
  if (fields === undefined || framed === undefined) return undefined
  const { length, isChunked, isLast, keepAlive } = framed
  const framing = framingOf(isToHead || status < 200 || status === 204 || status === 304, framed)
  // Which of the two counts, not every reader decides alike; and HTTP/1.0 knows no chunks.
  if (isChunked && (length !== undefined || isOld)) return undefined
  return {
    status,
    fields,
    framing,
    length: framing === 'length' ? (length ?? 0) : 0,
    isLast: isLast || isOld || framing === 'until-close',
    keepAlive,
  }
}

function framingOf(isBodiless: boolean, { length, isChunked }: Framed): Framing {
  if (isBodiless) return 'none'
  if (isChunked) return 'chunked'
  return length === undefined ? 'until-close' : 'length'
}

function readFraming(fields: FlatFields, isOld: boolean): Framed | undefined {
  const framed: Framed = {
    length: undefined,
    isChunked: false,
    isLast: isOld,
    keepAlive: undefined,
  }
  for (let index = 0; index < fields.length; index += 2) {
    const value = fields[index + 1] ?? ''
    switch ((fields[index] ?? '').toLowerCase()) {
      case 'content-length':
        if (framed.length !== undefined || !decimalLength.test(value)) return undefined
        framed.length = Number(value)
        break
      case 'transfer-encoding':
        if (framed.isChunked || value.toLowerCase() !== 'chunked') return undefined
        framed.isChunked = true
        break
      case 'connection':
        if (/(?:^|[ \t,])close(?:$|[ \t,])/i.test(value)) framed.isLast = true
        break
      case 'keep-alive': {
        const seconds = /(?:^|[,; ])timeout=(\d{1,6})/i.exec(value)?.[1]
        if (seconds !== undefined) framed.keepAlive = Number(seconds) * 1_000
        break
      }
      default:
    }
  }
  return framed
}
