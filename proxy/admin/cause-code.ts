/** Which code does the reason stand for that something could not be done in a namespace? */
import type { DaemonCode } from '../../lib/operator/health.ts'

const causes: readonly (readonly [RegExp, DaemonCode])[] = [
  [/libnftables/, 'library_missing'],
  [/CAP_[A-Z_]+|\bE(?:PERM|ACCES)\b|Operation not permitted/, 'capability_missing'],
  [/\bE[MN]FILE\b/, 'files_exhausted'],
  [/haproxy -f|haproxy.*\.conf/, 'haproxy_left'],
  [/\bEADDRINUSE\b/, 'foreign_listener'],
]

/** @returns `undefined` for a reason that has no code of its own */
export function causeCode(why: string | undefined): DaemonCode | undefined {
  return why === undefined ? undefined : causes.find(([pattern]) => pattern.test(why))?.[1]
}
