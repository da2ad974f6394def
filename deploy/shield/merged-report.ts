/** What did several agents see together? */
import { readFileSync, statSync } from 'node:fs'
import { UsageError } from '../../lib/cli/command.ts'
import { z } from '../../lib/files/schema.ts'
import { adminApiVersion } from '../../lib/http/admin-api-version.ts'
import type { Bytes } from '../../lib/runtime/clock.ts'
import {
  shieldReport,
  type SeenFinding,
  type SeenRow,
  type ShieldReport,
} from '../../lib/shield/seen-row.ts'
import { shields, type Shield } from '../../lib/shield/shields.ts'

/** Of one report. */
export const longestReport: Bytes = 256 * 2 ** 20

/** A report as it is printed. */
const printed = shieldReport.extend({ api: z.literal(adminApiVersion) })

/** Reads what `overlapd shield --json` wrote. @throws {UsageError} for a file that is anything else */
export function readReport(file: string): ShieldReport {
  try {
    const { size } = statSync(file)
    if (size > longestReport) throw new Error(`more than ${longestReport} bytes`)
    const { api: _api, ...report } = printed.parse(JSON.parse(readFileSync(file, 'utf8')))
    return report
  } catch (cause) {
    throw new UsageError(`"${file}" is no report of "overlapd shield --json"`, { cause })
  }
}

/**
 * Reports of several agents as one. It ends with the one that ends first: nothing shows what that agent saw since. The policy is the
 * first one's; a rule counts as one without guests where each agent saw none for it.
 */
export function mergedReport([first, ...others]: readonly [
  ShieldReport,
  ...ShieldReport[],
]): ShieldReport {
  const all = [first, ...others]
  const forgotten = all.flatMap(({ forgottenAt }) => forgottenAt ?? [])
  const rows = new Map<string, SeenRow>()
  for (const row of all.flatMap(({ seen }) => seen)) {
    const { instanceId, scope, networkId, documents, client } = row
    const key = JSON.stringify([instanceId, scope, networkId, documents, client])
    const before = rows.get(key)
    rows.set(key, before === undefined ? row : mergedRow(before, row))
  }
  const isUnmatched = (rule: string): boolean =>
    others.every(({ policy }) => policy.unmatched.includes(rule))
  return {
    now: Math.min(...all.map(({ now }) => now)),
    policy: { ...first.policy, unmatched: first.policy.unmatched.filter(isUnmatched) },
    ...(forgotten.length > 0 && { forgottenAt: Math.max(...forgotten) }),
    seen: [...rows.values()],
  }
}

function mergedRow(one: SeenRow, other: SeenRow): SeenRow {
  const [earlier, later] = one.lastAt <= other.lastAt ? [one, other] : [other, one]
  const findings: Partial<Record<Shield, SeenFinding>> = {}
  const unlooked: Partial<Record<Shield, number>> = {}
  for (const shield of shields) {
    const found = mergedFinding(earlier.findings[shield], later.findings[shield])
    if (found !== undefined) findings[shield] = found
    const at = Math.max(earlier.unlooked[shield] ?? -1, later.unlooked[shield] ?? -1)
    if (at >= 0) unlooked[shield] = at
  }
  return {
    ...later,
    requests: one.requests + other.requests,
    firstAt: Math.min(one.firstAt, other.firstAt),
    findings,
    unlooked,
  }
}

function mergedFinding(
  one: SeenFinding | undefined,
  other: SeenFinding | undefined,
): SeenFinding | undefined {
  if (one === undefined || other === undefined) return one ?? other
  const later = one.lastAt > other.lastAt ? one : other
  return { ...later, requests: one.requests + other.requests }
}
