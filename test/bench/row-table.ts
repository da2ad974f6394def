import { headedTable } from '../../lib/observe/text-table.ts'
import { markdownTable } from './markdown-table.ts'
import type { BenchRow } from './row.ts'

const headings = [
  'scenario',
  'side',
  'compute',
  'c',
  'keep-alive',
  'req/s',
  'p50 ms',
  'p99 ms',
  'CPU ms/req',
  'PSS MiB',
  'questions',
  's',
  'errors',
  'wrong',
]

/** A number with so many digits, or a dash where there is none. */
export function numberText(value: number | null | undefined, digits: number): string {
  return value == null || !Number.isFinite(value) ? '-' : value.toFixed(digits)
}

/** One row, in the order of the headings. */
function cells(row: BenchRow): string[] {
  return [
    row.name,
    row.side,
    row.upstream ?? '-',
    numberText(row.connections, 0),
    row.keepAlive === null ? '-' : row.keepAlive ? 'yes' : 'no',
    numberText(row.requestsPerSecond, 0),
    numberText(row.p50Ms, 2),
    numberText(row.p99Ms, 2),
    numberText(row.cpuMsPerRequest, 3),
    numberText(row.pssMiB, 0),
    numberText(row.controlPlaneQuestions, 0),
    numberText(row.seconds, 2),
    numberText(row.errors, 0),
    numberText(row.wrong, 0),
  ]
}

/** What else is known of a row: CPU by process, its own figures, kinds of errors, its note. */
function remarks(row: BenchRow): readonly string[] {
  const listed = (values: Readonly<Record<string, number>> | null, digits: number): string =>
    Object.entries(values ?? {})
      .map(([name, value]) => `${name} ${numberText(value, Number.isInteger(value) ? 0 : digits)}`)
      .join(', ')
  return [
    row.cpuMsByProcess === null ? '' : `CPU ms: ${listed(row.cpuMsByProcess, 3)}`,
    listed(row.figures, 3),
    row.errorKinds === null ? '' : `errors: ${listed(row.errorKinds, 0)}`,
    row.note ?? '',
  ].filter((text) => text !== '')
}

/** For a terminal: a table, and below it what is in no column. */
export function rowsText(rows: readonly BenchRow[]): string {
  const more = rows.flatMap((row) => {
    const all = remarks(row)
    const which = row.connections === null ? row.name : `${row.name} c=${row.connections}`
    const keeping = row.keepAlive === true ? ' keep-alive' : ''
    const of = [row.side, ...(row.upstream === null ? [] : [`compute ${row.upstream}`])].join(', ')
    return all.length === 0 ? [] : [`${which}${keeping} (${of}): ${all.join('; ')}`]
  })
  return `${headedTable(headings, rows.map(cells))}\n\n${more.join('\n')}\n`
}

/** The same as Markdown. */
export function rowsMarkdown(rows: readonly BenchRow[]): string {
  return markdownTable(
    [...headings, 'remarks'],
    rows.map((row) => [...cells(row), remarks(row).join('; ')]),
  )
}
