/** A histogram that costs a worker no library: plain numbers, put into words when they are scraped. */
import { latencyBuckets } from '../../../lib/observe/latency-buckets.ts'
import type { Count, Seconds } from '../../../lib/runtime/clock.ts'
import type { MetricJson, MetricValue } from './metric-json.ts'

/** Counts spans by {@link latencyBuckets}. */
export class LatencyHistogram {
  readonly #counts: Count[] = [...latencyBuckets.map(() => 0), 0]
  #sum: Seconds = 0

  observe(seconds: Seconds): void {
    let bucket = 0
    while (bucket < latencyBuckets.length && seconds > (latencyBuckets[bucket] ?? 0)) bucket += 1
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#sum += seconds
  }

  toJson(name: string, help: string): MetricJson {
    const values: MetricValue[] = []
    let seen = 0
    this.#counts.forEach((count, bucket) => {
      seen += count
      const le = latencyBuckets[bucket] ?? '+Inf'
      values.push({ labels: { le }, value: seen, metricName: `${name}_bucket` })
    })
    values.push({ labels: {}, value: this.#sum, metricName: `${name}_sum` })
    values.push({ labels: {}, value: seen, metricName: `${name}_count` })
    return { name, help, type: 'histogram', aggregator: 'sum', values }
  }
}
