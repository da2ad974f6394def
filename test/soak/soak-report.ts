import { headedTable } from '../../lib/observe/text-table.ts'
import type { HeapSample } from './heap-sample.ts'
import type { ProcessSample } from './process-sample.ts'
import { isGrowth, slopeOf, type Slope } from './slope.ts'

/** Growth in a whole run that nobody would notice: noise of the allocator, a connection more. */
const least: Readonly<Record<keyof ProcessSample | keyof HeapSample, number>> = {
  'heap KiB': 1_024,
  'external KiB': 1_024,
  'native KiB': 4_096,
  'rss KiB': 4_096,
  'private KiB': 2_048,
  descriptors: 4,
  sockets: 4,
  threads: 1,
}

/** One line of the report. */
export interface SlopeRow {
  readonly process: string
  readonly held: string
  readonly slope: Slope
  readonly grows: boolean
}

/** A report as `--json` writes it. */
export interface SoakValue {
  readonly requests: number
  readonly wrong: number
  readonly wrongs: readonly string[]
  /** By cause; those that nothing explains are under the status or the kind of failure. */
  readonly allowed: Readonly<Record<string, number>>
  readonly failed: Readonly<Record<string, number>>
  readonly acts: Readonly<Record<string, number>>
  readonly slopes: readonly SlopeRow[]
}

/** Collects through a run. */
export class SoakReport {
  requests = 0
  /** What was given to whom it did not belong to. */
  readonly wrongs: string[] = []
  readonly #begun = performance.now()
  readonly #allowed: Record<string, number> = {}
  readonly #failed: Record<string, number> = {}
  readonly #acts: Record<string, number> = {}
  /** By process and what is held, then by pid. */
  readonly #series = new Map<string, Map<number, [minutes: number, value: number][]>>()

  act(what: string): void {
    this.#acts[what] = (this.#acts[what] ?? 0) + 1
  }

  get wrong(): number {
    return this.wrongs.length
  }

  gaveWrong(what: string): void {
    this.wrongs.push(what)
  }

  allowed(cause: string): void {
    this.#allowed[cause] = (this.#allowed[cause] ?? 0) + 1
  }

  failed(kind: string): void {
    this.#failed[kind] = (this.#failed[kind] ?? 0) + 1
  }

  get failures(): number {
    return Object.values(this.#failed).reduce((sum, count) => sum + count, 0)
  }

  sample(process: string, pid: number, sample: Partial<ProcessSample & HeapSample>): void {
    for (const [what, value] of Object.entries(sample)) this.value(process, what, pid, value)
  }

  /** @param life what begins anew when it changes: a pid, or 0 */
  value(process: string, what: string, life: number, value: number): void {
    const key = `${process}\t${what}`
    const lives = this.#series.get(key) ?? new Map<number, [number, number][]>()
    this.#series.set(key, lives)
    const series = lives.get(life) ?? []
    lives.set(life, series)
    series.push([(performance.now() - this.#begun) / 60_000, value])
  }

  get result(): SoakValue {
    const slopes = [...this.#series].flatMap(([key, lives]) => {
      const slope = slopeOf([...lives.values()])
      const [process = '', what = ''] = key.split('\t')
      if (slope === undefined) return []
      const bound = (least as Readonly<Record<string, number>>)[what] ?? 1
      return [{ process, held: what, slope, grows: isGrowth(slope, bound) }]
    })
    const { requests, wrong, wrongs } = this
    return {
      requests,
      wrong,
      wrongs,
      allowed: this.#allowed,
      failed: this.#failed,
      acts: this.#acts,
      slopes,
    }
  }
}

/** True when nothing failed that may not, and nothing grows. */
export function hasHeld(report: SoakValue): boolean {
  return (
    report.requests > 0 &&
    report.wrong === 0 &&
    Object.keys(report.failed).length === 0 &&
    report.slopes.every(({ grows }) => !grows)
  )
}

/** The report for a terminal. */
export function soakText(report: SoakValue, seed: number): string {
  const counts = (all: Readonly<Record<string, number>>): string =>
    Object.entries(all)
      .map(([what, count]) => `  ${count} ${what}\n`)
      .join('')
  const rows = report.slopes.map(({ process, held, slope, grows }) => [
    process,
    held,
    slope.perMinute.toFixed(2),
    slope.noise.toFixed(2),
    String(slope.samples),
    slope.minutes.toFixed(1),
    grows ? 'GROWS' : 'flat',
  ])
  const headings = ['process', 'held', 'per minute', '±', 'samples', 'minutes', 'verdict']
  return [
    headedTable(headings, rows),
    `done to the service:\n${counts(report.acts)}`,
    `${report.requests} requests, ${report.wrong} answered with somebody else's\n`,
    ...report.wrongs.map((wrong) => `  ${wrong}\n`),
    `failed for what was done to them:\n${counts(report.allowed)}`,
    `failed without such a cause (must be none):\n${counts(report.failed)}`,
    `seed ${seed}\n`,
  ].join('')
}
