/**
 * Why an OVSDB session is of no use: `unreachable` (no connection), `closed` (ended by the other side),
 * `protocol` (what came is no OVSDB), `refused` (an error in a reply), `timeout`, `unsuitable` (the server does not serve
 * the database, or not as its leader), `overflow` (it sends faster than we can take in).
 */
export type OvsdbFailure =
  'unreachable' | 'closed' | 'protocol' | 'refused' | 'timeout' | 'unsuitable' | 'overflow'

/** A failure between us and an OVSDB server. What it means for a request is decided by whoever keeps the copy. */
export class OvsdbError extends Error {
  override readonly name = 'OvsdbError'
  readonly failure: OvsdbFailure
  /** The word in the `error` member of a reply, such as `unknown method`; absent otherwise. */
  readonly refusal: string | undefined

  constructor(
    failure: OvsdbFailure,
    message: string,
    options: { readonly cause?: unknown; readonly refusal?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.failure = failure
    this.refusal = options.refusal
  }
}
