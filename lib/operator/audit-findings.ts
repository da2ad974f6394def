/** What may an audit find, and what is to be done about it? The daemons find, the operator's program shows. */
import type { Count } from '../runtime/clock.ts'
import { daemonCodes } from './finding-codes.ts'
import type { Finding } from './finding.ts'
import type { DaemonCode, HealthReport } from './health.ts'

/** One thing that is not as it should be; its code gives how bad that is and what to do. */
export interface AuditFinding extends Pick<Finding, 'what' | 'remedy'> {
  readonly code: DaemonCode
  readonly about: string
}

/** A finding with everything that its code stands for, for those who do not know the code. */
export function wholeFinding(finding: AuditFinding): Finding {
  return { ...daemonCodes[finding.code], ...finding }
}

/** What a daemon found about itself: the body of `/audit`. */
export interface AuditReport {
  /** How much was looked at: `{"namespaces":3,"listeners":4}`. */
  readonly checked: Readonly<Record<string, Count>>
  /** What could not be looked at, and why. */
  readonly notes: readonly string[]
  readonly findings: readonly Finding[]
}

const soon = 14 * 24 * 3_600_000

/** What is to be reported about a certificate. */
export function certificateFindings(
  about: string,
  certificate: { readonly expiresAt: number; readonly refusal?: string | undefined },
  wallTime: number,
): readonly AuditFinding[] {
  const { expiresAt, refusal } = certificate
  const at = new Date(expiresAt).toISOString()
  const findings: AuditFinding[] = []
  if (expiresAt <= wallTime) {
    findings.push({ code: 'certificate_over', about, what: `The certificate ended at ${at}` })
  } else if (expiresAt - wallTime < soon) {
    findings.push({ code: 'certificate_ends', about, what: `The certificate ends at ${at}` })
  }
  if (refusal !== undefined) findings.push({ code: 'certificate_refused', about, what: refusal })
  return findings
}

/** The problems of a daemon's health that no finding of its audit is about. */
export function healthFindings(
  health: Pick<HealthReport, 'problems'>,
  found: readonly AuditFinding[],
): readonly AuditFinding[] {
  // An audit has a finding for each guest that was refused.
  const known = new Set<DaemonCode>([...found.map(({ code }) => code), 'guests_refused'])
  return health.problems
    .filter(({ code }) => !known.has(code))
    .map(({ code, part, what, remedy }) => ({ code, about: part, what, remedy }))
}
