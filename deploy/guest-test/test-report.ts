/** How does a test of a guest read on a terminal? */
import type { FoundGuest } from '../../lib/operator/guest-search.ts'
import { terminalText, textTable } from '../../lib/observe/text-table.ts'
import { isReasonCode, reasonRow } from '../../lib/runtime/reason-codes.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import type { Hop } from './hops.ts'

/** What a test came to. */
export interface TestReport {
  /** Path of the guest's own namespace, or the socket of the agent where it has none. */
  readonly from: string
  readonly target: string
  readonly guest?: FoundGuest
  /** Through which the request came, as its worker knows it. */
  readonly scope?: string
  readonly requestId?: string
  readonly status?: number
  readonly reason?: string
  /** Absent when there was no answer; then `why` is there. */
  readonly total?: Milliseconds
  readonly why?: string
  /** Whose metadata it was, as far as the document shows. */
  readonly instanceId?: string
  readonly hops: readonly Hop[]
  readonly verdict:
    | 'own metadata'
    | 'answered'
    | 'refused'
    | 'not answered'
    | 'answered by something else'
    | 'WRONG METADATA'
}

/** 0 when the guest was served. */
export function testExitCode({ verdict }: TestReport): number {
  return verdict === 'own metadata' || verdict === 'answered' ? 0 : 1
}

/** A line for each hop, the whole time, and what to do where one failed. */
export function testText(report: TestReport): string {
  const { from, target, guest, hops, total, requestId } = report
  const whose =
    guest === undefined
      ? ''
      : `guest ${guest.instanceId} ${guest.address} ${guest.macAddress} in ${guest.scope}\n`
  const rows = hops.map(({ hop, state, ms, detail }) => [
    hop,
    ms === undefined ? '-' : ms.toFixed(2),
    state,
    detail ?? '',
  ])
  const sum = total === undefined ? '-' : total.toFixed(2)
  const table = textTable(
    [
      ['HOP', 'MS', 'STATE', 'DETAIL'],
      ...rows,
      ['total', sum, verdictText(report), requestId === undefined ? '' : `request ${requestId}`],
    ].map((row) => row.map(terminalText)),
  )
  return `${terminalText(whose.trimEnd())}${whose === '' ? '' : '\n'}GET ${terminalText(target)} from ${terminalText(from)}\n\n${table}${adviceText(report)}`
}

function verdictText({ verdict, status, reason, why }: TestReport): string {
  const detail = [status, reason, why].filter((one) => one !== undefined).join(' ')
  return detail === '' ? verdict : `${verdict} (${detail})`
}

function adviceText({ verdict, reason, hops }: TestReport): string {
  if (isReasonCode(reason)) return `  → ${reasonRow(reason).operatorAction}\n`
  if (verdict === 'answered by something else') {
    return '  → Another program answers on 169.254.169.254: "overlapd doctor" names it.\n'
  }
  if (verdict === 'WRONG METADATA') {
    return '  → Stop the agent: no answer is better than this one. Then report it with "overlapd bugreport".\n'
  }
  const failed = hops.find(({ state }) => state === 'failed')
  if (failed === undefined) return ''
  if (failed.hop === 'network') {
    return '  → The guest has no route to 169.254.169.254, or nothing listens there: "overlapd doctor", "overlapd-proxy list".\n'
  }
  return '  → "overlapd doctor" looks at everything behind this hop.\n'
}
