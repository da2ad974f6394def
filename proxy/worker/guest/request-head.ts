/** What does the head of a guest's request want, and is it a request we answer at all? */
import type { IncomingMessage } from 'node:http'
import type { Bytes, Count } from '../../../lib/runtime/clock.ts'
import type { IncomingGet } from '../../../lib/fast-http/incoming-get.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { forgedHeaderIndex } from '../shared/forged-headers.ts'

/** A request's head after every check. */
export interface RequestHead {
  /** Why the request is not served; `undefined` when it is. */
  readonly refusal: ReasonCode | undefined
  /** True when body bytes follow the head on the connection. */
  readonly hasBody: boolean
  /** In origin form, as it is forwarded. */
  readonly target: string
  /** What follows on the connection is not read: it may be no request, or one that hides in this one. */
  readonly isLast: boolean
}

/** How a head came over the wire, where the parser does not report it. */
export interface HeadOnWire {
  /** Some lines ended in LF alone. */
  readonly isBare: boolean
  /** More bytes came together with it. */
  readonly isFollowed: boolean
}

/** As many as any client sends ten times over; haproxy's own default is 101. */
const mostFields = 128

/** RFC 9110 methods and PATCH. CONNECT and TRACE have no meaning here, and the parser knows RTSP and ICE too. */
export const servedMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
])

/** Origin-form as bytes: a slash, then anything but controls and space. Which escapes it holds is for the compute API to judge. */
const originForm = /^\/[\x21-\x7e\x80-\xff]*$/

/**
 * Absolute form that names this service: by its addresses, or by the name that EC2's clients try.
 * @see RFC 9112 §3.2.2
 */
const ownAbsoluteForm =
  /^http:\/\/(?:169\.254\.169\.254|\[fe80::a9fe:a9fe(?:%25[\w.-]{1,16})?\]|instance-data)(?::80)?(?=[/?]|$)/i

const decimalLength = /^\d{1,15}$/

/**
 * The same for a GET without a body, of which nothing is left to judge.
 * @param forged as for {@link inspectHead}
 */
export function inspectGetHead(
  { rawHeaders: fields, url: target }: IncomingGet,
  forged: Count[],
): RequestHead {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const first = name.charCodeAt(0) | 0x20
    if (first !== 0x66 /* f */ && first !== 0x78 /* x */) continue
    const place = forgedHeaderIndex(name)
    if (place >= 0) forged[place] = (forged[place] ?? 0) + 1
  }
  return { refusal: undefined, hasBody: false, target, isLast: false }
}

/**
 * Judges a parsed head by its raw fields. Node's strict parser has refused most of what RFC 9112 forbids; which part
 * depends on its version (repeated Content-Length, folded lines and NUL always; bare LF, a space before the colon
 * and an empty name only newer ones), so nothing here relies on it.
 * @param forged counts by class of forged identity headers, added to
 */
export function inspectHead(
  request: IncomingMessage,
  bodyLimit: Bytes,
  forged: Count[],
  wire: HeadOnWire,
): RequestHead {
  const fields = request.rawHeaders
  let hosts = 0
  let lengths = 0
  let length = 0
  let encodings = 0
  let isChunked = false
  let wantsUpgrade = false
  let isExpectationKnown = true
  let isNameBroken = false
  let isLengthBroken = false
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const last = name.charCodeAt(name.length - 1)
    if (name.length === 0 || last === 0x20 || last === 0x09) isNameBroken = true
    // The first letter alone rules out most names without making a string.
    switch (name.charCodeAt(0) | 0x20) {
      case 0x63 /* c */:
        if (name.length === 14 && name.toLowerCase() === 'content-length') {
          const text = (fields[index + 1] ?? '').trim()
          lengths += 1
          length = Number(text)
          isLengthBroken ||= !decimalLength.test(text)
        }
        break
      case 0x65 /* e */:
        if (name.length === 6 && name.toLowerCase() === 'expect') {
          isExpectationKnown &&= fields[index + 1]?.toLowerCase() === '100-continue'
        }
        break
      case 0x66 /* f */:
      case 0x78 /* x */: {
        const place = forgedHeaderIndex(name)
        if (place >= 0) forged[place] = (forged[place] ?? 0) + 1
        break
      }
      case 0x68 /* h */:
        if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
        break
      case 0x74 /* t */:
        if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
          encodings += 1
          isChunked = fields[index + 1]?.toLowerCase() === 'chunked'
        }
        break
      case 0x75 /* u */:
        if (name.length === 7 && name.toLowerCase() === 'upgrade') wantsUpgrade = true
        break
      default:
    }
  }
  const isHttp10 = request.httpVersionMinor === 0
  const target = originFormOf(request.url ?? '')
  return {
    refusal: judge(),
    hasBody: encodings > 0 || length > 0 || isLengthBroken,
    target,
    isLast: wantsUpgrade || wire.isBare || (isHttp10 && !wantsToPersist(request)),
  }

  function judge(): ReasonCode | undefined {
    if (request.httpVersionMajor > 1) return 'http_version_unsupported'
    if (request.httpVersionMajor !== 1 || request.httpVersionMinor > 1) return 'malformed_request'
    if (isNameBroken || isLengthBroken) return 'malformed_request'
    if (wire.isBare && !mayBeBare()) return 'malformed_request'
    // RFC 9112 §6.1: Transfer-Encoding in HTTP/1.0 means the framing is faulty.
    if (lengths > 1 || (lengths > 0 && encodings > 0)) return 'ambiguous_framing'
    if (encodings > 1 || (encodings === 1 && (!isChunked || isHttp10))) return 'ambiguous_framing'
    if (fields.length > mostFields * 2) return 'header_too_large'
    if (!servedMethods.has(request.method ?? '')) return 'method_not_supported'
    if (!originForm.test(target)) return 'request_target_invalid'
    if (hosts > 1 || (hosts === 0 && !isHttp10)) return 'host_invalid'
    if (!isExpectationKnown && !isHttp10) return 'expectation_failed'
    if (length > bodyLimit) return 'body_too_large'
    return undefined
  }
  /** RFC 9112 §2.2 allows a bare LF. Where other bytes follow, two readers could see the head end at two places. */
  function mayBeBare(): boolean {
    const { method } = request
    const framesBody = lengths > 0 || encodings > 0 || wantsUpgrade || wire.isFollowed
    return (method === 'GET' || method === 'HEAD') && !framesBody
  }
}

/** With what surrounds it in a list (RFC 9110 §5.6.1): other white space than this does not. */
const keepAlive = /^[ \t]*keep-alive[ \t]*$/i

/** For HTTP/1.0 only Connection counts (RFC 9112 §9.3). Node's parser takes Proxy-Connection for it. */
function wantsToPersist({ headers }: IncomingMessage): boolean {
  const options = headers.connection?.split(',') ?? []
  return options.some((option) => keepAlive.test(option))
}

/** Takes our own name off a target in absolute form; all others stay as they are, and are refused. */
function originFormOf(url: string): string {
  if (url.startsWith('/')) return url
  const own = ownAbsoluteForm.exec(url)
  if (own === null) return url
  const rest = url.slice(own[0].length)
  return rest.startsWith('/') ? rest : `/${rest}`
}
