import { headedTable } from '../../lib/observe/text-table.ts'
import type { ClassResult } from './class-process.ts'
import { isClean } from './class-report.ts'

/** The report by class, then each finding with what is needed to have it again. */
export function resultText(results: readonly ClassResult[], seed: number): string {
  const table = headedTable(
    ['class', 'forwarding', 'tried', 'accepted', 'crashed', 'wrong', 'others', 'failed', 'verdict'],
    results.map((result) => {
      const { name, forwarding, report } = result
      return [
        name,
        forwarding,
        String(report.tried),
        String(report.accepted),
        String(report.crashed),
        String(report.wrong),
        String(report.othersTried),
        String(report.othersFailed),
        hasHeld(result) ? 'held' : 'FAILED',
      ]
    }),
  )
  return [table, ...results.flatMap(detailsOf), `seed ${seed}`, ''].join('\n')
}

/** True when the class did its work and found nothing. */
export function hasHeld({ report, failure }: ClassResult): boolean {
  return failure === undefined && isClean(report)
}

function detailsOf({ name, forwarding, report, failure }: ClassResult): string[] {
  const measured = Object.entries(report.measured).map(([what, value]) => `${what} ${value}`)
  const findings = report.findings.map(
    ({ fault, what, times }) => `  ${fault} ${times} times: ${what}`,
  )
  return [
    ...(measured.length > 0 ? [`${name} (${forwarding}): ${measured.join(', ')}`] : []),
    ...(failure !== undefined ? [`${name} (${forwarding}) could not do its work: ${failure}`] : []),
    ...(findings.length > 0 ? [`${name} (${forwarding}) found:`, ...findings] : []),
  ]
}
