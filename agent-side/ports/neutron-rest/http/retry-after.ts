import type { Clock, Milliseconds } from '../../../../lib/runtime/clock.ts'

/**
 * Reads `Retry-After` (RFC 9110 section 10.2.3), seconds or an HTTP date. The date is the only thing that is
 * compared with our wall clock, and it can only make us wait.
 * @returns `undefined` when the field is absent or unreadable
 */
export function retryAfter(value: string | undefined, clock: Clock): Milliseconds | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - clock.wallTime())
}
