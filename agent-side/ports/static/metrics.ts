import { Counter, Gauge, metricNamespace, type Registry } from '../../../lib/observe/metrics.ts'

/** What the directory tells of each look at its file. */
export interface StaticMetrics {
  loaded(ports: number, atSeconds: number): void
  refused(): void
}

/** Makes the metrics of a static directory in a registry, which must not have them yet. */
export function createStaticMetrics(registry: Registry): StaticMetrics {
  const registers = [registry]
  const loads = new Counter({
    name: `${metricNamespace}_static_loads_total`,
    help: 'Times the file of ports had changed and was read, by whether it could be used.',
    labelNames: ['outcome'] as const,
    registers,
  })
  const ports = new Gauge({
    name: `${metricNamespace}_static_ports`,
    help: 'Ports in the file in use.',
    registers,
  })
  const loadedAt = new Gauge({
    name: `${metricNamespace}_static_loaded_timestamp_seconds`,
    help: 'When the file in use was read, in seconds since the epoch.',
    registers,
  })
  loads.inc({ outcome: 'loaded' }, 0)
  loads.inc({ outcome: 'refused' }, 0)
  return {
    loaded(count, atSeconds) {
      loads.inc({ outcome: 'loaded' })
      ports.set(count)
      loadedAt.set(atSeconds)
    },
    refused() {
      loads.inc({ outcome: 'refused' })
    },
  }
}
