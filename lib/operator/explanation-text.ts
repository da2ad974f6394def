/** How does an explanation read on a terminal? */
import { isMapping } from '../runtime/mapping.ts'
import { terminalText } from '../observe/text-table.ts'
import { isReasonCode, reasonRow } from '../runtime/reason-codes.ts'
import type { ExplainStep, Explanation } from './explanation.ts'
import { shownValue } from './shown-value.ts'

/** Of ports a step names the ids; the verdict has the rest. */
function stepText(detail: ExplainStep['detail']): string {
  const brief = Object.entries(detail).map(([name, value]): [string, unknown] => {
    const isList = Array.isArray(value) && value.length > 0 && value.every(isMapping)
    return [name, isList ? value.map((one) => one['portId'] ?? one) : value]
  })
  return shownValue(Object.fromEntries(brief))
}

/** One line, or one for each thing of a list. */
function verdictLines(name: string, value: unknown): readonly string[] {
  const shownName = terminalText(name)
  if (!Array.isArray(value) || value.length === 0 || !value.every(isMapping)) {
    return [`  ${shownName}: ${shownValue(value, name)}`]
  }
  return [`  ${shownName}:`, ...value.map((one) => `    ${shownValue(one)}`)]
}

/** The reason in a verdict, where it has one that we know. */
export function reasonOf({ verdict }: Explanation): string | undefined {
  const reason = verdict['reason']
  return typeof reason === 'string' ? reason : undefined
}

/** Steps, verdict and advice, for a terminal. */
export function explanationText(explanation: Explanation): string {
  const steps = explanation.steps.map((step, index) =>
    `${String(index + 1).padStart(3)}  ${`${step.ms.toFixed(2)} ms`.padStart(11)}  ${terminalText(step.step)}  ${stepText(step.detail)}`.trimEnd(),
  )
  const { kind, evidence, ...rest } = explanation.verdict
  const shown = isMapping(evidence) ? { ...rest, ...evidence } : rest
  const lines = [
    ...steps,
    '',
    `verdict: ${typeof kind === 'string' ? terminalText(kind) : 'unknown'}`,
  ]
  for (const [name, value] of Object.entries(shown)) lines.push(...verdictLines(name, value))
  const reason = reasonOf(explanation)
  if (isReasonCode(reason)) {
    const { status, publicText, operatorAction } = reasonRow(reason)
    lines.push(`  the guest gets: ${status} ${publicText}`, `  what to do: ${operatorAction}`)
  }
  return `${lines.join('\n')}\n`
}
