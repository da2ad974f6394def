import { markdownTable } from './markdown-table.ts'
import { comparedName } from './ratios.ts'
import { findRow, type BenchRow, type Side, type UpstreamKind } from './row.ts'
import { numberText } from './row-table.ts'

/** Between these lines of the README stands what {@link withFigures} writes. */
const begin = '<!-- figures of npm run bench:peer -- --results -->'
const end = '<!-- end of figures -->'

type Rows = readonly BenchRow[]

/** A column: a side, and for ours the way. */
interface Column {
  readonly title: string
  readonly side: Side
  readonly path: 'two-hops' | 'direct'
}

const columns: readonly Column[] = [
  { title: "Neutron's agent", side: 'peer', path: 'two-hops' },
  { title: 'with its cache', side: 'peer-cache', path: 'two-hops' },
  { title: 'overlapd', side: 'ours', path: 'two-hops' },
  { title: 'overlapd, fast path', side: 'ours', path: 'direct' },
]

interface Line {
  readonly what: (rows: Rows) => string
  readonly digits: number
  readonly value: (rows: Rows, column: Column) => number | null | undefined
}

function requestLine(what: string, upstream: UpstreamKind): Line {
  return {
    what: () => what,
    digits: 3,
    value: (rows, { side, path }) =>
      findRow(rows, {
        name: comparedName(path),
        side,
        upstream,
        connections: 16,
        keepAlive: false,
      })?.cpuMsPerRequest,
  }
}

function crawlRow(rows: Rows, { side, path }: Column, suffix: string): BenchRow | undefined {
  return findRow(rows, { name: `${path === 'direct' ? 'crawl-direct' : 'crawl'}${suffix}`, side })
}

function crawlLine(when: string, suffix: string): Line {
  return {
    what: (rows) => {
      const nova = findRow(rows, { name: `crawl${suffix}`, side: 'nova' })?.p50Ms
      return `a boot, ${when}: ms, of which Nova takes ${numberText(nova, 0)}`
    },
    digits: 0,
    value: (rows, column) => crawlRow(rows, column, suffix)?.p50Ms,
  }
}

const lines: readonly Line[] = [
  requestLine('a request, Nova closes connections: CPU ms', 'closes'),
  requestLine('a request, Nova keeps connections: CPU ms', 'keeps'),
  crawlLine('after a start', '-fresh'),
  crawlLine('after 300 boots', ''),
  {
    what: () => 'the same: CPU ms',
    digits: 1,
    value: (rows, column) => crawlRow(rows, column, '')?.figures?.['crawlCpuMs'],
  },
]

function figuresText(rows: Rows): string {
  return markdownTable(
    ['', ...columns.map(({ title }) => title)],
    lines.map(({ what, digits, value }) => [
      what(rows),
      ...columns.map((column) => numberText(value(rows, column), digits)),
    ]),
  )
}

/** The README with the figures of a run. @throws Error when it has no place for them */
export function withFigures(readme: string, rows: Rows): string {
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`no "${begin}" in the README`)
  return `${before}${begin}\n\n${figuresText(rows)}\n\n${end}${after}`
}
