import type { Count } from '../../lib/runtime/clock.ts'
import { comparedName, quotient } from './ratios.ts'
import { findRow, type BenchRow, type Side, type UpstreamKind } from './row.ts'

type Rows = readonly BenchRow[]
type Path = 'two-hops' | 'direct'

/** Something that has to be reached. NaN stands for a figure that was not measured. */
export interface Target {
  readonly what: string
  readonly must: 'at least' | 'at most'
  readonly bound: number
  readonly unit: string
  readonly digits: Count
  /** Of whatever is compared with: the peer, a tuned haproxy, Nova alone. */
  readonly other?: (rows: Rows) => number
  readonly ours: (rows: Rows) => number
  /** What is held against the bound. @default ours */
  readonly figure?: (rows: Rows) => number
}

const pathText = { 'two-hops': 'two hops', direct: 'fast path' } as const
const otherText = { 'peer-cache': 'peer with cache', 'haproxy-tuned': 'tuned haproxy' } as const
const paths: readonly Path[] = ['two-hops', 'direct']

type Field = 'cpuMsPerRequest' | 'p50Ms' | 'pssMiB' | 'seconds'

function value(row: BenchRow | undefined, field: Field): number {
  return row?.[field] ?? Number.NaN
}

function figure(rows: Rows, name: string, field: string): number {
  return findRow(rows, { name })?.figures?.[field] ?? Number.NaN
}

interface Load {
  readonly path: Path
  readonly upstream: UpstreamKind
  /** @default false */
  readonly keepAlive?: boolean
}

const connections = 16

/** Beside the peer where there is one, else alone. */
function oursOf(rows: Rows, { path, upstream, keepAlive = false }: Load): number {
  const alone = `warm${path === 'direct' ? '-direct' : ''}${upstream === 'closes' ? '-closing' : ''}`
  const wanted = { upstream, connections, keepAlive }
  const row =
    findRow(rows, { name: comparedName(path), ...wanted }) ??
    findRow(rows, { name: alone, ...wanted })
  return value(row, 'cpuMsPerRequest')
}

function loadText({ path, upstream, keepAlive = false }: Load): string {
  const kept = keepAlive ? 'keep-alive' : 'new connections'
  return `compute ${upstream}, ${kept}, c=${connections}, ${pathText[path]}`
}

function ownCpu(load: Load, bound: number): Target {
  return {
    what: `${loadText(load)}: CPU a request`,
    must: 'at most',
    bound,
    unit: 'ms',
    digits: 3,
    ours: (rows) => oursOf(rows, load),
  }
}

function against(
  side: Extract<Side, 'peer-cache' | 'haproxy-tuned'>,
  must: Target['must'],
  load: Load,
  bound: number,
): Target {
  const { upstream, keepAlive = false } = load
  const other = (rows: Rows): number =>
    value(
      findRow(rows, { name: 'compared', side, upstream, connections, keepAlive }),
      'cpuMsPerRequest',
    )
  const isTimesLess = must === 'at least'
  return {
    what: `${loadText(load)}: CPU a request against ${otherText[side]}`,
    must,
    bound,
    unit: isTimesLess ? '× less' : '×',
    digits: 3,
    other,
    ours: (rows) => oursOf(rows, load),
    figure: (rows) =>
      isTimesLess
        ? quotient(other(rows), oursOf(rows, load))
        : quotient(oursOf(rows, load), other(rows)),
  }
}

function crawlName(path: Path): string {
  return path === 'direct' ? 'crawl-direct' : 'crawl'
}

/** @param bound where Nova itself takes {@link usualNova}, and in proportion otherwise */
function crawlTime(path: Path, bound: number, suffix = ''): Target {
  const nova = (rows: Rows): number =>
    value(findRow(rows, { name: `crawl${suffix}`, side: 'nova' }), 'p50Ms')
  const ours = (rows: Rows): number =>
    value(findRow(rows, { name: `${crawlName(path)}${suffix}` }), 'p50Ms')
  const when = suffix === '' ? 'after 300 crawls' : 'on fresh processes'
  return {
    what: `crawl with a real Nova ${when}, ${pathText[path]}: p50, scaled to ${usualNova} ms of Nova alone`,
    must: 'at most',
    bound,
    unit: 'ms',
    digits: 1,
    other: nova,
    ours,
    figure: (rows) => (ours(rows) * usualNova) / nova(rows),
  }
}

/** Milliseconds that a crawl takes with nothing before Nova. */
const usualNova = 9

function crawlCpu(path: Path, bound: number): Target {
  return {
    what: `crawl with a real Nova after 300 crawls, ${pathText[path]}: CPU of a crawl`,
    must: 'at most',
    bound,
    unit: 'ms',
    digits: 1,
    ours: (rows) => figure(rows, crawlName(path), 'crawlCpuMs'),
  }
}

function costOfNamespaces(path: Path): Target {
  const name = path === 'direct' ? 'cost-direct' : 'cost'
  const cpu = (rows: Rows, count: Count): number =>
    value(findRow(rows, { name: `${name}-${count}` }), 'cpuMsPerRequest')
  return {
    what: `${pathText[path]}: CPU of a request with 1,000 namespaces against 1`,
    must: 'at most',
    bound: 1.1,
    unit: '×',
    digits: 3,
    ours: (rows) => cpu(rows, 1_000),
    figure: (rows) => quotient(cpu(rows, 1_000), cpu(rows, 1)),
  }
}

const storms = paths.flatMap((path) =>
  (['closes', 'keeps'] satisfies UpstreamKind[]).map((upstream) => ({ path, upstream })),
)

function bootsCpu({ path, upstream }: (typeof storms)[number]): Target {
  const name = path === 'direct' ? 'boots-direct' : 'boots'
  return {
    what: `1,000 boots on 50 networks, compute ${upstream}, ${pathText[path]}: CPU of all processes`,
    must: 'at most',
    bound: 4,
    unit: 's',
    digits: 1,
    ours: (rows) => findRow(rows, { name, upstream })?.figures?.['cpuSeconds'] ?? Number.NaN,
  }
}

/** @returns NaN when no row has one of these names */
function errorsOf(rows: Rows, isMeant: (name: string) => boolean): number {
  const meant = rows.filter((row) => isMeant(row.name) && row.errors !== null)
  return meant.length === 0 ? Number.NaN : meant.reduce((sum, row) => sum + (row.errors ?? 0), 0)
}

const megabytes = (mebibytes: number): number => (mebibytes * 2 ** 20) / 1e6

/** Each figure that has to be reached; the compute service as Debian has it comes first. */
export const targets: readonly Target[] = [
  ownCpu({ path: 'direct', upstream: 'closes' }, 0.08),
  against('peer-cache', 'at least', { path: 'direct', upstream: 'closes' }, 14),
  ownCpu({ path: 'two-hops', upstream: 'closes' }, 0.17),
  against('peer-cache', 'at least', { path: 'two-hops', upstream: 'closes' }, 7),
  ownCpu({ path: 'direct', upstream: 'keeps' }, 0.045),
  against('haproxy-tuned', 'at most', { path: 'direct', upstream: 'keeps' }, 1.3),
  ownCpu({ path: 'two-hops', upstream: 'keeps' }, 0.12),
  ownCpu({ path: 'direct', upstream: 'keeps', keepAlive: true }, 0.025),
  crawlTime('direct', 15),
  crawlTime('two-hops', 22),
  crawlTime('direct', 15 * 1.3, '-fresh'),
  crawlTime('two-hops', 22 * 1.3, '-fresh'),
  crawlCpu('direct', 6),
  crawlCpu('two-hops', 10),
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
    bound: 180,
    unit: 'MB',
    digits: 0,
    ours: (rows) => megabytes(value(findRow(rows, { name: 'attach-1000' }), 'pssMiB')),
  },
  ...paths.map(costOfNamespaces),
  ...storms.map(bootsCpu),
  {
    what: '1,000 boots: requests that failed',
    must: 'at most',
    bound: 0,
    unit: '',
    digits: 0,
    ours: (rows) => errorsOf(rows, (name) => /^boots(-direct)?$/.test(name)),
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
