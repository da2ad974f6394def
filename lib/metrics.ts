import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client'

export { AggregatorRegistry, Counter, Gauge, Histogram, Registry }

/** First word of every metric: `overlapd_<area>_<noun>_<unit>[_total]`, base units only. */
export const metricNamespace = 'overlapd'

/** Seconds; the low end sees a cache hit on loopback, the high end a slow vendordata target. */
export const latencyBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

/** A registry of this process alone. prom-client's global one is never used. */
export function createRegistry(): Registry {
  return new Registry()
}
