import { headedTable } from '../../lib/observe/text-table.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { markdownTable } from './markdown-table.ts'
import { comparedName, quotient } from './ratios.ts'
import { findRow, type BenchRow, type Side } from './row.ts'
import { numberText } from './row-table.ts'

type Rows = readonly BenchRow[]
type Path = 'two-hops' | 'direct'

/** Something that has to be reached. NaN stands for a figure that was not measured. */
interface Target {
  readonly what: string
  readonly must: 'at least' | 'at most'
  readonly bound: number
  readonly unit: string
  readonly digits: Count
  readonly peer?: (rows: Rows) => number
  readonly ours: (rows: Rows) => number
  /** What is held against the bound. @default ours */
  readonly figure?: (rows: Rows) => number
}

interface Load {
  readonly connections: Count
  readonly keepAlive: boolean
}

type Field = 'requestsPerSecond' | 'cpuMsPerRequest' | 'p99Ms' | 'pssMiB' | 'seconds'

/** Beside the peer where there is one, else alone. */
function oursOf(rows: Rows, path: Path, load: Load): BenchRow | undefined {
  const alone = path === 'direct' ? 'warm-direct' : 'warm'
  return (
    findRow(rows, { name: comparedName(path), ...load }) ?? findRow(rows, { name: alone, ...load })
  )
}

const pathText = { 'two-hops': 'two hops', direct: 'fast path' } as const
const sideText = { peer: "peer's default", 'peer-cache': 'peer with cache', ours: 'ours' } as const

function loadText({ connections, keepAlive }: Load): string {
  return `${keepAlive ? 'keep-alive' : 'new connections'}, c=${connections}`
}

function againstPeer(
  side: Side,
  path: Path,
  load: Load,
  bound: number,
  field: 'requestsPerSecond' | 'cpuMsPerRequest' = 'requestsPerSecond',
): Target {
  const peer = (rows: Rows): number =>
    value(findRow(rows, { name: 'compared', side, ...load }), field)
  const ours = (rows: Rows): number => value(oursOf(rows, path, load), field)
  const isCpu = field === 'cpuMsPerRequest'
  return {
    what: `${loadText(load)}: ${pathText[path]} against ${sideText[side]}, ${isCpu ? 'CPU ms a request' : 'requests/s'}`,
    must: 'at least',
    bound,
    unit: isCpu ? '× less' : '×',
    digits: isCpu ? 3 : 0,
    peer,
    ours,
    figure: (rows) => (isCpu ? quotient(peer(rows), ours(rows)) : quotient(ours(rows), peer(rows))),
  }
}

function ownCpu(path: Path, load: Load, bound: number): Target {
  return {
    what: `${loadText(load)}: ${pathText[path]}, CPU a request`,
    must: 'at most',
    bound,
    unit: 'ms',
    digits: 3,
    ours: (rows) => value(oursOf(rows, path, load), 'cpuMsPerRequest'),
  }
}

function value(row: BenchRow | undefined, field: Field): number {
  return row?.[field] ?? Number.NaN
}

function figure(rows: Rows, name: string, field: string): number {
  return findRow(rows, { name })?.figures?.[field] ?? Number.NaN
}

/** @returns NaN when no row has one of these names */
function errorsOf(rows: Rows, isMeant: (name: string) => boolean): number {
  const meant = rows.filter((row) => isMeant(row.name) && row.errors !== null)
  return meant.length === 0 ? Number.NaN : meant.reduce((sum, row) => sum + (row.errors ?? 0), 0)
}

const guests = { connections: 16, keepAlive: false } as const
const pollers = [1, 16, 64].map((connections) => ({ connections, keepAlive: true }))
const megabytes = (mebibytes: number): number => (mebibytes * 2 ** 20) / 1e6

const targets: readonly Target[] = [
  againstPeer('peer', 'two-hops', guests, 150),
  againstPeer('peer-cache', 'two-hops', guests, 8),
  againstPeer('peer-cache', 'direct', guests, 8),
  againstPeer('peer-cache', 'two-hops', guests, 8, 'cpuMsPerRequest'),
  againstPeer('peer-cache', 'direct', guests, 12, 'cpuMsPerRequest'),
  {
    what: `${loadText(guests)}: fast path against the peer's haproxy alone, CPU ms a request`,
    must: 'at least',
    bound: 1,
    unit: '× less',
    digits: 3,
    peer: haproxyCpu,
    ours: (rows) => value(oursOf(rows, 'direct', guests), 'cpuMsPerRequest'),
    figure: (rows) =>
      quotient(haproxyCpu(rows), value(oursOf(rows, 'direct', guests), 'cpuMsPerRequest')),
  },
  ownCpu('direct', guests, 0.15),
  ...pollers.map((load) => againstPeer('peer', 'two-hops', load, 300)),
  ...pollers.map((load) => againstPeer('peer-cache', 'two-hops', load, 8)),
  ...pollers.map((load) => againstPeer('peer-cache', 'direct', load, 20)),
  ownCpu('two-hops', { connections: 16, keepAlive: true }, 0.12),
  ownCpu('direct', { connections: 16, keepAlive: true }, 0.06),
  {
    what: '1,000 namespaces: from the running program to a worker accepting in all',
    must: 'at most',
    bound: 1,
    unit: 's',
    digits: 2,
    ours: (rows) => value(findRow(rows, { name: 'attach-1000' }), 'seconds'),
  },
  {
    what: '1,000 namespaces: memory of all our processes (PSS)',
    must: 'at most',
    bound: 200,
    unit: 'MB',
    digits: 0,
    ours: (rows) => megabytes(value(findRow(rows, { name: 'attach-1000' }), 'pssMiB')),
  },
  {
    what: 'CPU of a request with 1,000 namespaces against 1',
    must: 'at most',
    bound: 1.2,
    unit: '×',
    digits: 2,
    ours: (rows) =>
      quotient(
        value(findRow(rows, { name: 'cost-1000' }), 'cpuMsPerRequest'),
        value(findRow(rows, { name: 'cost-1' }), 'cpuMsPerRequest'),
      ),
  },
  {
    what: 'boot storm: questions to Neutron',
    must: 'at most',
    bound: 50,
    unit: '',
    digits: 0,
    ours: (rows) => findRow(rows, { name: 'boot-storm' })?.controlPlaneQuestions ?? Number.NaN,
  },
  {
    what: 'boot storm: failed boots',
    must: 'at most',
    bound: 0,
    unit: '',
    digits: 0,
    ours: (rows) => figure(rows, 'boot-storm', 'failedBoots'),
  },
  {
    what: 'boot storm: longest answer (cloud-init waits 10 s)',
    must: 'at most',
    bound: 10,
    unit: 's',
    digits: 1,
    ours: (rows) => figure(rows, 'boot-storm', 'longestAnswerSeconds'),
  },
  {
    what: "boot storm beside a noisy project: growth of the others' p99 (whole boots)",
    must: 'at most',
    bound: 20,
    unit: '%',
    digits: 0,
    ours: (rows) => 100 * figure(rows, 'boot-storm-noisy', 'bootP99Growth'),
  },
  {
    what: 'failed requests while the agent is restarted and killed, and a proxy takes over from another',
    must: 'at most',
    bound: 0,
    unit: '',
    digits: 0,
    ours: (rows) => errorsOf(rows, (name) => /^restart-|^kill-agent$/.test(name)),
  },
  {
    what: 'failed requests while each worker and the supervisor are killed',
    must: 'at most',
    bound: 0,
    unit: '',
    digits: 0,
    ours: (rows) => errorsOf(rows, (name) => /^kill-(?!agent$)/.test(name)),
  },
  {
    what: "wrong answers: somebody else's data, in all of this",
    must: 'at most',
    bound: 0,
    unit: '',
    digits: 0,
    ours: (rows) =>
      rows.filter((row) => row.side === 'ours').reduce((sum, row) => sum + (row.wrong ?? 0), 0),
  },
  {
    what: 'resolver over 1,000,000 ports: lookups in a second of CPU',
    must: 'at least',
    bound: 1e6,
    unit: '/s',
    digits: 0,
    ours: (rows) => figure(rows, 'resolver-ovn-1000000-cached', 'lookupsPerCpuSecond'),
  },
  {
    what: 'resolver over 1,000,000 ports: memory of a port in the copy of OVN',
    must: 'at most',
    bound: 400,
    unit: 'B',
    digits: 0,
    ours: (rows) => figure(rows, 'resolver-ovn-1000000-cached', 'bytesPerPort'),
  },
]

function haproxyCpu(rows: Rows): number {
  const row = findRow(rows, { name: 'compared', side: 'peer-cache', ...guests })
  return row?.cpuMsByProcess?.['haproxy'] ?? Number.NaN
}

const headings = ['what', 'must be', 'peer', 'ours', 'figure', 'reached']

function lines(rows: Rows): readonly (readonly string[])[] {
  return targets.map(({ what, must, bound, unit, digits, peer, ours, figure: held }) => {
    const mine = ours(rows)
    const compared = (held ?? ours)(rows)
    const limit = `${must} ${bound.toLocaleString('en')} ${unit}`.trim()
    return [
      what,
      limit,
      numberText(peer?.(rows), digits),
      numberText(mine, digits),
      Number.isFinite(compared)
        ? `${numberText(compared, compared < 10 ? 2 : 0)} ${unit}`.trim()
        : '-',
      verdict(must, bound, compared),
    ]
  })
}

function verdict(must: Target['must'], bound: number, compared: number): string {
  if (!Number.isFinite(compared)) return 'not measured'
  if (must === 'at least' ? compared >= bound : compared <= bound) return 'yes'
  if (bound === 0) return 'no'
  const far = must === 'at least' ? compared / bound : bound / compared
  return `no: ${(100 * far).toFixed(0)} % of the way`
}

/** The lines that have to be reached, with what was measured: for a terminal. */
export function targetsText(rows: Rows): string {
  return `${headedTable(headings, lines(rows))}\n`
}

/** The same as Markdown. */
export function targetsMarkdown(rows: Rows): string {
  return markdownTable(headings, lines(rows))
}
