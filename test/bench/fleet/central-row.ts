/** One stretch of time of a tier of two central agents. What was not measured is null. */
import type { Count, Milliseconds } from '../../../lib/runtime/clock.ts'

/** Requests of all proxies, and what they cost the second agent, which is never killed. */
export interface CentralRow {
  readonly name: string
  readonly portsInCloud: Count
  readonly proxies: Count
  readonly seconds: number
  readonly answered: Count
  readonly failed: Count
  /** By reason, since the run began. */
  readonly failures: Readonly<Record<string, Count>>
  /** Answers with another guest's instance. */
  readonly wrong: Count
  /** Requests that another agent got after the first. */
  readonly failovers: Count
  readonly slowestMs: Milliseconds
  readonly connectionsOfSecond: Count
  readonly cpuSecondsOfSecond: number | null
  readonly memoryMiBOfSecond: number
}
