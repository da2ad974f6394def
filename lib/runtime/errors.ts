import type { Seconds } from './clock.ts'
import type { ReasonCode } from './reason-codes.ts'

export interface ErrorOptions {
  readonly cause?: unknown
  /** Safe to log: ids and addresses, never a secret, a signature or user data. */
  readonly details?: Readonly<Record<string, unknown>>
  /** When to try again, where the thrower knows better than the table of reason codes. */
  readonly retryAfter?: Seconds | undefined
}

/**
 * A request could not be served. Its message is for the operator ("what could not be done: the state"); what the guest
 * may read is the public text of its code.
 */
export class MetadataError extends Error {
  override readonly name = 'MetadataError'
  readonly code: ReasonCode
  readonly details: Readonly<Record<string, unknown>>
  readonly retryAfter: Seconds | undefined

  constructor(code: ReasonCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    this.retryAfter = options.retryAfter
  }
}

/** The text of a caught value, with its chain of causes, for one line of a log. A cause that the message has named already is not repeated. */
export function causeText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const code = (thrown as NodeJS.ErrnoException).code
  const own =
    typeof code === 'string' && !thrown.message.includes(code)
      ? `${thrown.message} (${code})`
      : thrown.message
  const cause = thrown.cause === undefined ? '' : causeText(thrown.cause)
  const isNamed = own === cause || [own, thrown.message].some((one) => one.endsWith(`: ${cause}`))
  return cause === '' || isNamed ? own : `${own}: ${cause}`
}
