/**
 * Can the head of a request be read in one way only? Most can: a GET in origin form without a body, which is read here at a fraction of
 * what a general parser costs. It is a small part of what such a parser takes, so the two can never disagree: whatever else comes, be it
 * malformed or merely rare, is left to the general parser, untouched.
 * @see RFC 9112 §3, §5
 */
import { fieldLines, splitFields, type FlatFields } from './fields.ts'

/** A GET in origin form without a body. */
export interface GetRequest {
  readonly target: string
  /** Its field lines as they were sent, each with its CRLF; not looked into yet. */
  readonly block: string
}

/** What such a request has beside its target. */
export interface GetFields {
  readonly fields: FlatFields
  /** The client ends the connection after the answer. */
  readonly isLast: boolean
}

/** Of a target, the characters that RFC 3986 lets stand in a path or query. */
const requestPattern = new RegExp(
  `^GET (/[\\w.~!$&'()*+,;=:@/?%-]*) HTTP/1\\.1\\r\\n(${fieldLines})\\r\\n$`,
)

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

/**
 * Reads a request.
 * @param text all bytes that have come, as Latin-1
 * @returns `undefined` unless they are the head of exactly one such request
 */
export function readGetRequest(text: string): GetRequest | undefined {
  const match = requestPattern.exec(text)
  return match === null ? undefined : { target: match[1] ?? '/', block: match[2] ?? '' }
}

/** @returns `undefined` when a field makes the request something else; a Host too few or too many does */
export function readGetFields(block: string): GetFields | undefined {
  const fields = splitFields(block, 'refused')
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

function connectionOption(value: string): 'close' | 'keep-alive' | undefined {
  const option = value.toLowerCase()
  return option === 'close' || option === 'keep-alive' ? option : undefined
}
