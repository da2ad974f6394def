import type { ReasonCode } from '../runtime/reason-codes.ts'

/** What Node's HTTP server reports of a connection that it cannot read on. */
export interface ParserError extends Error {
  readonly code?: string
  /** The parser's own words, where it is the parser that complains. */
  readonly reason?: string
}

/**
 * The reason code for an error of Node's HTTP parser or of its time limits.
 * @returns `undefined` when the connection itself failed, so that no peer is there to be answered
 * @see https://github.com/nodejs/llhttp, HPE_* codes
 */
export function parserRefusal(error: ParserError): ReasonCode | undefined {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return 'header_too_large'
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'body_too_large'
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout'
    case 'HPE_UNEXPECTED_CONTENT_LENGTH':
    case 'HPE_INVALID_TRANSFER_ENCODING':
      return 'ambiguous_framing'
    case 'HPE_INVALID_CONTENT_LENGTH':
      return error.reason?.includes('Transfer-Encoding') === true
        ? 'ambiguous_framing'
        : 'malformed_request'
    // RFC 9113 §3.3: what a client of HTTP/2 begins with when it does not negotiate first.
    case 'HPE_PAUSED_H2_UPGRADE':
      return 'http_version_unsupported'
    case 'HPE_INVALID_URL':
      return 'request_target_invalid'
    // The guest went away in the middle of a request.
    case 'HPE_INVALID_EOF_STATE':
      return undefined
    default:
      return error.code?.startsWith('HPE_') === true ? 'malformed_request' : undefined
  }
}
