/** Which policy refuses nothing that was seen? */
import type { Count, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'
import { documentClasses, type DocumentClass } from '../../lib/shield/document-class.ts'
import { shields, type RuleSubject, type Shield } from '../../lib/shield/shields.ts'
import type { SeenRow, ShieldReport } from '../../lib/shield/seen-row.ts'

/** For what a suggestion has rules. */
export type SuggestedSubject = Exclude<RuleSubject, 'router'>
export const suggestedSubjects: readonly SuggestedSubject[] = ['project', 'network', 'instance']

/** Few clients bind a privileged port, and those that do need not always do so. */
const suggestedShields = shields.filter((shield) => shield !== 'low_port')
type SuggestedShield = Exclude<Shield, 'low_port'>

export interface SuggestionOptions {
  readonly by: SuggestedSubject
  /** What was seen before that counts for nothing. */
  readonly period: Milliseconds
}

const idOf: Readonly<Record<SuggestedSubject, (row: SeenRow) => string>> = {
  project: ({ projectId }) => projectId,
  network: ({ networkId }) => networkId,
  instance: ({ instanceId }) => instanceId,
}

/** The policy as the text of a file. Whoever was not seen is observed, as without it. */
export function suggestedPolicy(report: ShieldReport, options: SuggestionOptions): string {
  const { by, period } = options
  const since = report.now - period
  const bySubject = new Map<string, SeenRow[]>()
  for (const row of report.seen) {
    if (row.lastAt < since) continue
    const id = idOf[by](row)
    const rows = bySubject.get(id) ?? []
    rows.push(row)
    bySubject.set(id, rows)
  }
  const lines = [
    `# Made by overlapd shield --suggest from what was seen from ${dateText(since)} to ${dateText(report.now)}.`,
    ...(isIncomplete(report, since)
      ? ['# Not all of it: more guests were seen than the agent remembers. Some may be refused.']
      : []),
    ...(bySubject.size === 0 ? ['rules: []'] : ['rules:']),
  ]
  for (const id of [...bySubject.keys()].toSorted()) {
    lines.push(...ruleLines(by, id, bySubject.get(id) ?? [], since))
  }
  return `${lines.join('\n')}\n`
}

/** True when guests were forgotten of which a suggestion would have to know. */
export function isIncomplete({ forgottenAt }: ShieldReport, since: EpochMilliseconds): boolean {
  return forgottenAt !== undefined && forgottenAt >= since
}

function ruleLines(
  by: SuggestedSubject,
  id: string,
  rows: readonly SeenRow[],
  since: EpochMilliseconds,
): readonly string[] {
  const lines = [`  - ${by}: '${id}'`]
  for (const shield of suggestedShields) {
    const broken = documentClasses.filter((documents) =>
      rows.some((row) => row.documents === documents && isBroken(row, shield, since)),
    )
    if (broken.length === 0) {
      lines.push(`    ${shield}: enforce`)
      continue
    }
    const cells = documentClasses.map(
      (documents: DocumentClass) =>
        `${documents}: ${broken.includes(documents) ? 'observe' : 'enforce'}`,
    )
    lines.push(`    ${shield}: { ${cells.join(', ')} } ${why(rows, shield, since)}`)
  }
  return lines
}

function isBroken(row: SeenRow, shield: SuggestedShield, since: EpochMilliseconds): boolean {
  const { findings, unlooked } = row
  return (findings[shield]?.lastAt ?? -1) >= since || (unlooked[shield] ?? -1) >= since
}

const mostNamed: Count = 3

/** Names the programs for whose sake a shield is not enforced. What a guest wrote stays in the comment. */
function why(rows: readonly SeenRow[], shield: SuggestedShield, since: EpochMilliseconds): string {
  const broken = rows.filter((row) => isBroken(row, shield, since))
  const names = [...new Set(broken.map(({ client }) => client.replaceAll(/[^\x20-\x7e]/g, '?')))]
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : ''
  return `# ${names.slice(0, mostNamed).join(', ')}${more}`
}

function dateText(at: EpochMilliseconds): string {
  return new Date(at).toISOString().slice(0, 10)
}
