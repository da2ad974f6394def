/** What have all workers done together, those that are gone included? */
import { AggregatorRegistry, createRegistry, type Registry } from '../../lib/observe/metrics.ts'
import type { MetricJson } from '../worker/shared/metric-json.ts'

type MetricsJson = Parameters<typeof AggregatorRegistry.aggregate>[0][number]

/**
 * Adds up the metrics of workers. What a worker had counted when it was last read stays in the sum after its end, because a sum that
 * falls looks like a restart of everything and would be counted twice.
 */
export class WorkerMetricsSum {
  readonly #latest = new Map<number, MetricsJson>()
  #departed: MetricsJson | undefined
  /** One at a time, or two that end together would overwrite each other's sum. */
  #departing: Promise<void> = Promise.resolve()

  /** What a worker (by its process id) has counted up to now. */
  record(worker: number, metrics: readonly MetricJson[]): void {
    this.#latest.set(worker, metrics)
  }

  /** The worker is gone. Gauges are of the moment, so its gauges go with it. */
  async depart(worker: number): Promise<void> {
    const last = this.#latest.get(worker)
    this.#latest.delete(worker)
    if (last === undefined) return
    const counted = (last as readonly { type: unknown }[]).filter(({ type }) => type !== 'gauge')
    this.#departing = this.#departing.then(() => this.#add(counted as MetricsJson))
    await this.#departing
  }

  async #add(counted: MetricsJson): Promise<void> {
    const all = this.#departed === undefined ? [counted] : [this.#departed, counted]
    const sum: unknown = await AggregatorRegistry.aggregate(all).getMetricsAsJSON()
    this.#departed = sum as MetricsJson
  }

  /** A registry with the sums. */
  sum(): Registry {
    const all = [...this.#latest.values(), ...(this.#departed ? [this.#departed] : [])]
    return all.length === 0 ? createRegistry() : AggregatorRegistry.aggregate(all)
  }
}
