/** What is not as it should be on a host, and what is to be done? One form, whether doctor or an audit found it. */
import { isMapping } from '../runtime/mapping.ts'
import { terminalText } from '../observe/text-table.ts'

/** The worst first. `fail`: guests get no answer, or a refusal, now. `warn`: they may, or soon will. */
export const levels = ['fail', 'warn', 'ok'] as const
/** One of {@link levels}. */
export type Level = (typeof levels)[number]

/** One thing that was looked at. */
export interface Finding {
  readonly level: Level
  /** A stable word for its kind, which programs may wait for: `ambiguous_address`, `clock`. */
  readonly code: string
  /** A namespace, a scope, an endpoint, or a socket. */
  readonly about?: string
  /** How it stands, with the evidence. For operators alone: it names ports and instances of tenants. */
  readonly what: string
  /** What it does to guests; absent where it does nothing. */
  readonly effect?: string
  /** What mends it, with the command; absent where nothing is to be done. */
  readonly remedy?: string | undefined
}

function readFinding(value: unknown): readonly Finding[] {
  if (!isMapping(value)) return []
  const { code, about, what, effect, remedy } = value
  const level = levels.find((one) => one === value['level'])
  if (level === undefined || typeof code !== 'string' || typeof what !== 'string') return []
  return [
    {
      level,
      code,
      ...(typeof about === 'string' && { about }),
      what,
      ...(typeof effect === 'string' && { effect }),
      ...(typeof remedy === 'string' && { remedy }),
    },
  ]
}

/** Findings as a daemon sent them; what has another form is left out. */
export function readFindings(value: unknown): readonly Finding[] {
  return Array.isArray(value) ? value.flatMap(readFinding) : []
}

function kindText(found: readonly Finding[]): string {
  const [first] = found
  if (first === undefined) return ''
  const texts = found.map(({ about, what }) =>
    terminalText(about === undefined ? what : `${about}: ${what}`),
  )
  const heading = `${first.level.padEnd(4)}  ${terminalText(first.code)}`
  const lines =
    texts.length === 1
      ? `${heading}: ${texts[0]}\n`
      : `${heading} (${texts.length})\n${texts.map((text) => `      ${text}\n`).join('')}`
  const after = [
    ...(first.effect === undefined ? [] : [`Effect: ${first.effect}`]),
    ...(first.remedy === undefined ? [] : [`→ ${first.remedy}`]),
  ]
  return `${lines}${after.map((text) => `      ${terminalText(text)}\n`).join('')}`
}

/** What is worst comes first; what is to be done stands once for all findings of a kind. */
export function findingsText(findings: readonly Finding[]): string {
  const kinds = new Map<string, Finding[]>()
  for (const level of levels) {
    for (const finding of findings.filter((one) => one.level === level)) {
      const kind = `${level} ${finding.code} ${finding.remedy}`
      const known = kinds.get(kind)
      if (known === undefined) kinds.set(kind, [finding])
      else known.push(finding)
    }
  }
  return [...kinds.values()].map(kindText).join('')
}
