/**
 * Can the head of a message be read in one way only? Most can: a GET without a body, an answer of known length. Those are *plain* and
 * are read here, at a fraction of what a general parser costs. What is read here is a small part of what such a parser takes, so the
 * two can never disagree: whatever is not plain, be it malformed or merely rare, is left to the general parser, untouched.
 * @see RFC 9112 §3, §5, §6.3
 */
import type { Bytes, Milliseconds } from '../runtime/clock.ts'

/** Field names and values in turn, as the general parser gives them: without the white space before values. */
export type PlainFields = readonly string[]

/** A GET in origin form without a body. */
export interface PlainRequest {
  readonly target: string
  /** Its field lines as they were sent, each with its CRLF; not looked into yet. */
  readonly block: string
}

/** What a plain request says beside its target. */
export interface PlainRequestFields {
  readonly fields: PlainFields
  /** The client ends the connection after the answer. */
  readonly isLast: boolean
}

/** A final answer with a body of known length, to a GET. */
export interface PlainAnswer {
  readonly status: number
  readonly fields: PlainFields
  readonly length: Bytes
  /** The server ends the connection after it. */
  readonly isLast: boolean
  /** How long the server says that it keeps the connection. */
  readonly keepAlive: Milliseconds | undefined
}

/** RFC 9110 §5.6.2 for the name, §5.5 for the value; no folding, no bare CR or LF, no control character. */
const fieldLines = "(?:[!#-'*+.^_`|~\\w-]+:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n)*"

/** Of a target, the characters that RFC 3986 lets stand in a path or query. */
const requestPattern = new RegExp(
  `^GET (/[\\w.~!$&'()*+,;=:@/?%-]*) HTTP/1\\.1\\r\\n(${fieldLines})\\r\\n$`,
)

const answerPattern = new RegExp(
  `^HTTP/1\\.1 ([2-5]\\d\\d) [\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n(${fieldLines})\\r\\n$`,
)

const fieldName = /^[!#-'*+.^_`|~\w-]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const targetPattern = /^\/[\x21-\x7e]*$/

/** Fields that change what follows the head, or what is expected before it; `proxy-connection` counts for some parsers. */
const framing: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'expect',
  'upgrade',
  'proxy-connection',
  'trailer',
  'te',
])

const decimalLength = /^\d{1,15}$/

/**
 * Reads a request.
 * @param text all bytes that have come, as Latin-1
 * @returns `undefined` unless they are the head of exactly one plain request
 */
export function readPlainRequest(text: string): PlainRequest | undefined {
  const match = requestPattern.exec(text)
  return match === null ? undefined : { target: match[1] ?? '/', block: match[2] ?? '' }
}

/** @returns `undefined` when a field makes the request something else than plain; a Host too few or too many does */
export function readPlainRequestFields(block: string): PlainRequestFields | undefined {
  const fields = splitFields(block)
  if (fields === undefined) return undefined
  let hosts = 0
  let isLast: boolean | undefined
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    if (framing.has(name)) return undefined
    if (name === 'host') hosts += 1
    if (name !== 'connection') continue
    const option = connectionOption(fields[index + 1] ?? '')
    if (option === undefined || isLast !== undefined) return undefined
    isLast = option === 'close'
  }
  return hosts === 1 ? { fields, isLast: isLast === true } : undefined
}

/**
 * Reads the head of an answer to a GET.
 * @param text from the status line to the empty line, as Latin-1
 * @returns `undefined` unless it is plain
 */
export function readPlainAnswer(text: string): PlainAnswer | undefined {
  const match = answerPattern.exec(text)
  const status = Number(match?.[1])
  // These have no body whatever they say of its length.
  if (match === null || status === 204 || status === 304) return undefined
  const fields = splitFields(match[2] ?? '')
  if (fields === undefined) return undefined
  let length: Bytes | undefined
  let isLast: boolean | undefined
  let keepAlive: Milliseconds | undefined
  for (let index = 0; index < fields.length; index += 2) {
    const name = (fields[index] ?? '').toLowerCase()
    const value = fields[index + 1] ?? ''
    switch (name) {
      case 'content-length':
        if (length !== undefined || !decimalLength.test(value)) return undefined
        length = Number(value)
        break
      case 'connection': {
        const option = connectionOption(value)
        if (option === undefined || isLast !== undefined) return undefined
        isLast = option === 'close'
        break
      }
      case 'keep-alive': {
        const seconds = /(?:^|[,; ])timeout=(\d{1,6})/i.exec(value)?.[1]
        if (seconds !== undefined) keepAlive = Number(seconds) * 1_000
        break
      }
      default:
        if (framing.has(name)) return undefined
    }
  }
  if (length === undefined) return undefined
  return { status, fields, length, isLast: isLast === true, keepAlive }
}

/** The field lines of a request to be sent. @returns `undefined` when they would not be read as what they are */
export function plainBlock(headers: readonly string[]): string | undefined {
  let block = ''
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (!fieldName.test(name) || !fieldValue.test(value)) return undefined
    block += `${name}: ${value}\r\n`
  }
  return block
}

/** True for a target that can stand in a request line. */
export function isPlainTarget(target: string): boolean {
  return targetPattern.test(target)
}

function connectionOption(value: string): 'close' | 'keep-alive' | undefined {
  const option = value.toLowerCase()
  return option === 'close' || option === 'keep-alive' ? option : undefined
}

/**
 * @param block matches {@link fieldLines}
 * @returns `undefined` when a value has white space after it, which parsers take for some fields and not for others
 */
function splitFields(block: string): string[] | undefined {
  const fields: string[] = []
  for (let from = 0; from < block.length;) {
    const colon = block.indexOf(':', from)
    const end = block.indexOf('\r\n', colon)
    let begin = colon + 1
    while (begin < end && isPadding(block.charCodeAt(begin))) begin += 1
    if (begin < end && isPadding(block.charCodeAt(end - 1))) return undefined
    fields.push(block.slice(from, colon), block.slice(begin, end))
    from = end + 2
  }
  return fields
}

function isPadding(code: number): boolean {
  return code === 0x20 || code === 0x09
}
