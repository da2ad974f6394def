import type { Gauge, Registry } from '../../../lib/observe/metrics.ts'
import type { EpochMilliseconds } from '../../../lib/runtime/clock.ts'
import { DirectoryMetrics } from '../directory/metrics.ts'

/** The metrics of the `static` directory. */
export class StaticMetrics extends DirectoryMetrics {
  readonly #loadedAt: Gauge<'directory'>

  constructor(registry: Registry) {
    super('static', registry)
    this.#loadedAt = this.area.gauge(
      'loaded_timestamp_seconds',
      'When the file in use was read, in seconds since the epoch.',
      ['directory'],
    )
    for (const outcome of ['loaded', 'refused'] as const) this.loaded(outcome, 0)
  }

  loadedAt(time: EpochMilliseconds): void {
    this.#loadedAt.set({ directory: this.directory }, time / 1_000)
  }
}
