import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'

/**
 * Whose system was measured: ours, Neutron's haproxy and agent without and with the agent's cache, a haproxy and a program on
 * Node's sockets that do as little as a proxy can, or Nova without anything before it.
 */
export type Side = 'ours' | 'peer' | 'peer-cache' | 'haproxy-tuned' | 'node-bare' | 'nova'

/** Whether compute keeps its connections and sends lengths, or closes each after its answer, as Debian's Nova behind uWSGI does. */
export type UpstreamKind = 'keeps' | 'closes'

/** One line of the results. A figure that does not apply or could not be had is null. */
export interface BenchRow {
  readonly name: string
  readonly side: Side
  readonly upstream: UpstreamKind | null
  readonly connections: Count | null
  readonly keepAlive: boolean | null
  readonly requestsPerSecond: number | null
  readonly p50Ms: Milliseconds | null
  readonly p99Ms: Milliseconds | null
  /** User and system time of all processes of that side; load, upstream and control plane left out. */
  readonly cpuMsPerRequest: number | null
  /** The same by process: `agent`, `worker`, `supervisor`, `haproxy`; those of the control plane are not in the sum. */
  readonly cpuMsByProcess: Readonly<Record<string, number>> | null
  readonly pssMiB: number | null
  readonly errors: Count | null
  readonly wrong: Count | null
  /** What Neutron was asked: HTTP requests. */
  readonly controlPlaneQuestions: Count | null
  /** Seconds that the whole thing took, where that is the figure: attaching, a boot storm. */
  readonly seconds: number | null
  /** What the errors were: status and reason code, `broken` or `timeout`. */
  readonly errorKinds: Readonly<Record<string, Count>> | null
  /** Figures that only rows of this name have, with their unit in the name. */
  readonly figures: Readonly<Record<string, number>> | null
  /** What a reader needs to know about this line. */
  readonly note: string | null
}

const emptyRow = {
  upstream: null,
  connections: null,
  keepAlive: null,
  requestsPerSecond: null,
  p50Ms: null,
  p99Ms: null,
  cpuMsPerRequest: null,
  cpuMsByProcess: null,
  pssMiB: null,
  errors: null,
  wrong: null,
  controlPlaneQuestions: null,
  seconds: null,
  errorKinds: null,
  figures: null,
  note: null,
} as const

/** Fills what was not measured with null. */
export function benchRow(measured: Pick<BenchRow, 'name' | 'side'> & Partial<BenchRow>): BenchRow {
  return { ...emptyRow, ...measured }
}

/** Which of several rows of one name: all that is given must be the same. */
export interface RowWanted {
  readonly name: string
  readonly side?: Side
  readonly upstream?: UpstreamKind
  readonly connections?: Count
  readonly keepAlive?: boolean
}

/** @returns the first such row */
export function findRow(rows: readonly BenchRow[], wanted: RowWanted): BenchRow | undefined {
  const { name, side = 'ours', upstream, connections, keepAlive } = wanted
  return rows.find(
    (row) =>
      row.name === name &&
      row.side === side &&
      (upstream === undefined || row.upstream === upstream) &&
      (connections === undefined || row.connections === connections) &&
      (keepAlive === undefined || row.keepAlive === keepAlive),
  )
}
