/** What does a check of the host say? */

/** What one look at the host found. */
export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail'
  /** What was looked at and how it stands. */
  readonly what: string
  /** What the operator should do; absent where nothing is to be done. */
  readonly todo?: string
}
