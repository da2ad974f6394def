import type { Count, Milliseconds } from '../../lib/clock.ts'

/** Whose system was measured: ours, or Neutron's haproxy and agent without and with the agent's cache. */
export type Side = 'ours' | 'peer' | 'peer-cache'

/** One line of the results. A figure that does not apply or could not be had is null. */
export interface BenchRow {
  readonly name: string
  readonly side: Side
  readonly connections: Count | null
  readonly keepAlive: boolean | null
  readonly requestsPerSecond: number | null
  readonly p50Ms: Milliseconds | null
  readonly p99Ms: Milliseconds | null
  /** User and system time of all processes of that side, load and upstream left out. */
  readonly cpuMsPerRequest: number | null
  /** The same by process: `agent`, `worker`, `opener`. */
  readonly cpuMsByProcess: Readonly<Record<string, number>> | null
  readonly pssMiB: number | null
  readonly errors: Count | null
  readonly wrong: Count | null
  readonly controlPlaneQuestions: Count | null
  /** Seconds that the whole thing took, where that is the figure: attaching, a boot storm. */
  readonly seconds: number | null
  /** What a reader needs to know about this line. */
  readonly note: string | null
}

const emptyRow = {
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
  note: null,
} as const

/** Fills what was not measured with null. */
export function benchRow(measured: Pick<BenchRow, 'name' | 'side'> & Partial<BenchRow>): BenchRow {
  return { ...emptyRow, ...measured }
}
