import { STATUS_CODES } from 'node:http'
import { errorResponse, type ErrorResponseOptions } from '../../../lib/http/error-response.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { servedMethods } from './request-head.ts'

export interface RefusalOptions extends ErrorResponseOptions {
  /** The request was HEAD, whose answer has no body. */
  readonly isHead?: boolean
}

/** A refusal as it goes onto the wire. */
export interface RefusalOnWire {
  readonly status: number
  readonly bytes: Buffer
}

/** A whole HTTP/1.1 answer that refuses and ends the connection, for where no request could be read. */
export function refusalBytes(code: ReasonCode, options: RefusalOptions = {}): RefusalOnWire {
  const { status, headers, body } = errorResponse(code, options)
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`
  // RFC 9110 §15.5.6 wants the list with every 405.
  if (status === 405) text += `allow: ${[...servedMethods].join(', ')}\r\n`
  text += `date: ${new Date().toUTCString()}\r\nconnection: close\r\n\r\n`
  return { status, bytes: Buffer.from(options.isHead === true ? text : text + body) }
}
