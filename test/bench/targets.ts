import { headedTable } from '../../lib/observe/text-table.ts'
import { markdownTable } from './markdown-table.ts'
import type { BenchRow } from './row.ts'
import { numberText } from './row-table.ts'
import { targets, type Target } from './target-list.ts'

type Rows = readonly BenchRow[]

const notMeasured = 'not measured'
const headings = ['what', 'must be', 'beside', 'ours', 'figure', 'reached']

function lines(rows: Rows): readonly (readonly string[])[] {
  return targets.map(({ what, must, bound, unit, digits, other, ours, figure: held }) => {
    const mine = ours(rows)
    const compared = (held ?? ours)(rows)
    const limit = `${must} ${bound.toLocaleString('en')} ${unit}`.trim()
    return [
      what,
      limit,
      numberText(other?.(rows), digits),
      numberText(mine, digits),
      Number.isFinite(compared)
        ? `${numberText(compared, compared < 10 ? 2 : 0)} ${unit}`.trim()
        : '-',
      verdict(must, bound, compared),
    ]
  })
}

function verdict(must: Target['must'], bound: number, compared: number): string {
  if (!Number.isFinite(compared)) return notMeasured
  if (must === 'at least' ? compared >= bound : compared <= bound) return 'yes'
  if (bound === 0) return 'no'
  const far = must === 'at least' ? compared / bound : bound / compared
  return `no: ${(100 * far).toFixed(0)} % of the way`
}

/** What was measured of the figures that have to be reached: for a terminal. @returns nothing when no such figure was measured */
export function targetsText(rows: Rows): string {
  const measured = lines(rows).filter((cells) => !cells.includes(notMeasured))
  return measured.length === 0 ? '' : `${headedTable(headings, measured)}\n`
}

/** All of them as Markdown, those that were not measured too. */
export function targetsMarkdown(rows: Rows): string {
  return markdownTable(headings, lines(rows))
}
