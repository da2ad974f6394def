import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { latencyBuckets } from './latency-buckets.ts'

export { AggregatorRegistry, Counter, Gauge, Histogram, latencyBuckets, Registry }

/** First word of every metric: `overlapd_<area>_<noun>_<unit>[_total]`, base units only. */
export const metricNamespace = 'overlapd'

/** A registry of this process alone. prom-client's global one is never used. */
export function createRegistry(): Registry {
  return new Registry()
}

/** Makes metrics whose names begin alike, in one registry. */
export class MetricArea {
  readonly #registers: [Registry]
  readonly #prefix: string

  /** @param area `agent`, for `overlapd_agent_…`; empty for what both daemons have */
  constructor(registry: Registry, area: string) {
    this.#registers = [registry]
    this.#prefix = area === '' ? metricNamespace : `${metricNamespace}_${area}`
  }

  /** @param collect counts anew from 0 whenever the metrics are read; absent for what is counted as it happens */
  counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    collect?: (counter: Counter<Label>) => void,
  ): Counter<Label> {
    const counter: Counter<Label> = new Counter({
      ...this.#settings(name, help),
      labelNames,
      ...(collect && {
        collect() {
          counter.reset()
          collect(counter)
        },
      }),
    })
    return counter
  }

  /** @param buckets upper bounds, in the unit of the name */
  histogram<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    buckets: readonly number[] = latencyBuckets,
  ): Histogram<Label> {
    return new Histogram({ ...this.#settings(name, help), labelNames, buckets: [...buckets] })
  }

  /** @param collect sets the gauge whenever the metrics are read; absent for one that is set as things happen */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labelNames: readonly Label[] = [],
    collect?: (gauge: Gauge<Label>) => void,
  ): Gauge<Label> {
    const gauge: Gauge<Label> = new Gauge({
      ...this.#settings(name, help),
      labelNames,
      ...(collect && { collect: () => collect(gauge) }),
    })
    return gauge
  }

  #settings(name: string, help: string): { name: string; help: string; registers: [Registry] } {
    return { name: `${this.#prefix}_${name}`, help, registers: this.#registers }
  }
}
