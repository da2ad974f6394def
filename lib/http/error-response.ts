import { reasonRow, type ReasonCode } from '../runtime/reason-codes.ts'
import { wireHeaders } from '../wire/wire-headers.ts'

/** What to write to the client; nothing in it depends on a server library. */
export interface ErrorResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface ErrorResponseOptions {
  readonly requestId?: string | undefined
  /** The guest's `Accept`; JSON is sent only where it is named. */
  readonly accept?: string | undefined
  /** Seconds; replaces the table's figure where the sender knows better. */
  readonly retryAfter?: number | undefined
}

/**
 * The answer that stands for a reason code: status, public text and code, as plain text or as
 * `{"status":404,"reason":"no_port","message":"…","requestId":"…"}`.
 */
export function errorResponse(code: ReasonCode, options: ErrorResponseOptions = {}): ErrorResponse {
  const row = reasonRow(code)
  const { requestId } = options
  const asJson = options.accept?.toLowerCase().includes('application/json') ?? false
  const body = asJson
    ? `${JSON.stringify({ status: row.status, reason: code, message: row.publicText, requestId })}\n`
    : `${row.publicText}\nreason: ${code}\n${requestId === undefined ? '' : `request: ${requestId}\n`}`
  const retryAfter = options.retryAfter ?? row.retryAfter
  return {
    status: row.status,
    headers: {
      'content-type': asJson ? 'application/json' : 'text/plain; charset=UTF-8',
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      [wireHeaders.reason]: code,
      ...(requestId !== undefined && { [wireHeaders.requestId]: requestId }),
      ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
    },
    body,
  }
}
