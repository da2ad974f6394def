import type { Count } from '../../lib/runtime/clock.ts'
import { runLoad, type LoadOptions, type LoadResult } from './load.ts'
import { CpuMeter, type NamedPids } from './process-figures.ts'
import { profileClock, type Profiler } from './profile/profiler.ts'
import { benchRow, type BenchRow } from './row.ts'

/** Anything that serves guests and whose processes can be measured. */
export interface MeasuredSide {
  pids(): NamedPids
  pss(): number
  /** Processes that are counted beside the side's own: what its questions cost a Neutron. */
  controlPlane?(): NamedPids
  /** Notes which stretches of its processes' profiles are of interest. */
  readonly profiler?: Profiler | undefined
}

/** How much of a load is run before it is measured. Caches, connection pools and compiled code belong to a warm path. */
export type Warmth = 'warm' | 'as-it-is'

/**
 * Has code compiled and caches filled before the first load that is measured: a freshly started side is another thing.
 * @throws Error when not one request is answered
 */
export async function warmUp(targets: LoadOptions['targets'], requests: Count): Promise<void> {
  for (const keepAlive of [false, true]) {
    const load = { targets, connections: 16, keepAlive, requests: requests / 2 }
    // Each target once shows whether anything is served at all; a side that serves nothing would take hours.
    const first = await runLoad({ ...load, requests: Math.min(targets.length, load.requests) })
    if (first.errors === first.requests) {
      throw new Error(`no request is answered: ${JSON.stringify(first.errorKinds)}`)
    }
    await runLoad(load)
  }
}

/** What a row is about. */
export type RowSubject = Pick<BenchRow, 'name' | 'side' | 'upstream'>

/** Runs one load against a side. @returns what it cost */
export async function measureLoad(
  subject: RowSubject,
  measured: MeasuredSide,
  load: LoadOptions,
  warmth: Warmth = 'warm',
): Promise<BenchRow> {
  if (warmth === 'warm') {
    // Every target once, and then some; a slow side would take minutes for more.
    const wanted = Math.max(load.targets.length, Math.floor(load.requests / 5))
    await runLoad({ ...load, requests: Math.min(wanted, load.requests) })
  }
  const cost = new RequestCost(measured)
  const result = await runLoad(load)
  return benchRow({
    ...subject,
    connections: load.connections,
    keepAlive: load.keepAlive,
    ...loadFigures(result),
    ...cost.figures(nameOf(subject.name, load), result.requests),
    pssMiB: measured.pss(),
  })
}

function nameOf(name: string, { connections, keepAlive }: LoadOptions): string {
  return `${name} c=${connections} ${keepAlive ? 'keep-alive' : 'new connections'}`
}

/** The CPU that a side takes from now on, shared out over requests. */
export class RequestCost {
  readonly #measured: MeasuredSide
  readonly #pids: NamedPids
  readonly #from = profileClock()
  readonly #own: CpuMeter
  readonly #controlPlane: CpuMeter

  constructor(measured: MeasuredSide) {
    this.#measured = measured
    this.#pids = measured.pids()
    this.#own = new CpuMeter(this.#pids)
    this.#controlPlane = new CpuMeter(measured.controlPlane?.() ?? new Map())
  }

  /** @param name of what was measured, for a profile */
  figures(name: string, requests: Count): Pick<BenchRow, 'cpuMsPerRequest' | 'cpuMsByProcess'> {
    const shared = (spent: ReadonlyMap<string, number>): readonly (readonly [string, number])[] =>
      [...spent].map(([name, milliseconds]) => [name, milliseconds / requests])
    const own = shared(this.#own.spent())
    const stretch = { from: this.#from, to: profileClock() }
    const cpuMsByProcess = Object.fromEntries([...own, ...shared(this.#controlPlane.spent())])
    this.#measured.profiler?.add({ name, stretch, pids: this.#pids, cpuMsByProcess })
    return { cpuMsPerRequest: own.reduce((sum, [, value]) => sum + value, 0), cpuMsByProcess }
  }
}

/** The columns of a row that come from a load. */
export function loadFigures(
  result: LoadResult,
): Pick<
  BenchRow,
  'requestsPerSecond' | 'p50Ms' | 'p99Ms' | 'errors' | 'wrong' | 'seconds' | 'errorKinds'
> {
  const { requestsPerSecond, p50Ms, p99Ms, errors, wrong, seconds, errorKinds } = result
  return { requestsPerSecond, p50Ms, p99Ms, errors, wrong, seconds, errorKinds }
}
