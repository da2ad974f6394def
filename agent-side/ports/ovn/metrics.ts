import type { Count } from '../../../lib/runtime/clock.ts'
import { Counter, Gauge, metricNamespace, type Registry } from '../../../lib/observe/metrics.ts'
import { DirectoryMetrics } from '../directory/metrics.ts'

const prefix = `${metricNamespace}_directory`

/** The metrics of the `ovn` directory. It sends no queries: the server keeps the copy in step. */
export class OvnMetrics extends DirectoryMetrics {
  readonly #registers: [Registry]
  readonly #refusals: Counter<'directory'>
  readonly #reports: Counter<'directory' | 'outcome'>

  constructor(registry: Registry) {
    super('ovn', registry)
    this.#registers = [registry]
    this.#refusals = new Counter({
      name: `${prefix}_refusals_total`,
      help: 'Queries of the resolver refused because the copy was incomplete or not confirmed.',
      labelNames: ['directory'],
      registers: this.#registers,
    })
    this.#reports = new Counter({
      name: `${prefix}_agent_reports_total`,
      help: 'Reports to Neutron that the metadata agent is alive, by outcome: written, failed.',
      labelNames: ['directory', 'outcome'],
      registers: this.#registers,
    })
    for (const outcome of ['loaded', 'resumed'] as const) this.loaded(outcome, 0)
    for (const outcome of ['written', 'failed'] as const) this.reported(outcome, 0)
    this.#refusals.inc({ directory: this.directory }, 0)
  }

  /** Adds a gauge of the rows that are no ports, which is read off the copy. */
  watchSkipped(skipped: () => readonly (readonly [reason: string, rows: Count])[]): void {
    const { directory } = this
    const made = new Gauge({
      name: `${prefix}_skipped_rows`,
      help: 'Rows of Port_Binding that are no Neutron port, by reason.',
      labelNames: ['directory', 'reason'],
      registers: this.#registers,
      collect() {
        for (const [reason, rows] of skipped()) made.set({ directory, reason }, rows)
      },
    })
  }

  /** Adds a gauge of the scopes that are copied, which is read off the selection. */
  watchScopes(counts: () => { readonly wanted: Count; readonly missing: Count } | undefined): void {
    const { directory } = this
    const made = new Gauge({
      name: `${prefix}_selected_scopes`,
      help: 'Routers and networks whose ports are copied, by state: known, missing (their rows have not arrived). Absent where the whole cloud is copied.',
      labelNames: ['directory', 'state'],
      registers: this.#registers,
      collect() {
        const { wanted, missing } = counts() ?? {}
        if (wanted === undefined || missing === undefined) return
        made.set({ directory, state: 'known' }, wanted - missing)
        made.set({ directory, state: 'missing' }, missing)
      },
    })
  }

  refused(): void {
    this.#refusals.inc({ directory: this.directory })
  }

  reported(outcome: 'written' | 'failed', count: Count = 1): void {
    this.#reports.inc({ directory: this.directory, outcome }, count)
  }
}
