/** What does each reason code mean, and what is done about it? The rows lie in reasons/. */
import { guestRequestReasons } from './reasons/guest-requests.ts'
import { lookupReasons } from './reasons/lookups.ts'
import { proxyRequestReasons } from './reasons/proxy-requests.ts'
import { shieldReasons } from './reasons/shields.ts'
import { upstreamReasons } from './reasons/upstreams.ts'

/** Who has to act when a request is refused. It is a metric label and picks the log level. */
export type Fault = 'guest' | 'proxy' | 'directory' | 'compute' | 'config' | 'bug'

/** What one reason code means, and what is done about it. */
export interface ReasonRow {
  /** HTTP status of the answer. */
  readonly status: number
  /** What the guest reads. Names nothing that belongs to another tenant. */
  readonly publicText: string
  /** Seconds after which trying again makes sense; absent where it does not. */
  readonly retryAfter?: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly fault: Fault
  /** What the operator should look at; goes to the error reference, never to a guest. */
  readonly operatorAction: string
}

/**
 * Every reason for which we ourselves answer with something other than 2xx. The codes are stable: they stand in
 * `X-Overlapd-Reason`, in logs, in metrics and in the error reference, which is made from this table.
 *
 * A query that failed is always 503 with `Retry-After`, because cloud-init waits for that and takes every other 5xx as final.
 */
export const reasonCodes = {
  ...guestRequestReasons,
  ...shieldReasons,
  ...proxyRequestReasons,
  ...lookupReasons,
  ...upstreamReasons,
} as const satisfies Record<string, ReasonRow>

/** A stable word for why a request was refused, such as `no_port`. */
export type ReasonCode = keyof typeof reasonCodes

/** The row of a code, typed so that the optional fields can be read. */
export function reasonRow(code: ReasonCode): ReasonRow {
  return reasonCodes[code]
}

/** True for the codes of the table; for codes that come over the wire. */
export function isReasonCode(text: unknown): text is ReasonCode {
  return typeof text === 'string' && Object.hasOwn(reasonCodes, text)
}
