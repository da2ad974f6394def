/** In which form do metrics go from a worker to its supervisor? */

/** One metric as prom-client's `getMetricsAsJSON()` gives it, so that the supervisor can add up its workers. */
export interface MetricJson {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly aggregator: 'sum'
  readonly values: readonly MetricValue[]
}

/** One series of a metric. */
export interface MetricValue {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly metricName?: string
}
