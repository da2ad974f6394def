import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client'

export { AggregatorRegistry, Counter, Gauge, Histogram, Registry }
export { latencyBuckets } from './latency-buckets.ts'

/** First word of every metric: `overlapd_<area>_<noun>_<unit>[_total]`, base units only. */
export const metricNamespace = 'overlapd'

/** A registry of this process alone. prom-client's global one is never used. */
export function createRegistry(): Registry {
  return new Registry()
}
