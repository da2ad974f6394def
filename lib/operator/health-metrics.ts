/** How is the health of a daemon seen by Prometheus? */
import { Gauge, metricNamespace, type Registry } from '../observe/metrics.ts'
import type { Daemon } from '../config/defaults.ts'
import { healthStates, type HealthReport } from './health.ts'

/** Adds the gauges of a daemon's health, read off whenever they are collected. */
export function watchHealth(registry: Registry, daemon: Daemon, health: () => HealthReport): void {
  registry.registerMetric(
    new Gauge({
      name: `${metricNamespace}_health_state`,
      help: '1 for the state that the daemon is in: ready, degraded (some guests cannot be served), not_ready (none can).',
      labelNames: ['daemon', 'state'],
      registers: [],
      collect() {
        const { state } = health()
        for (const one of healthStates) this.set({ daemon, state: one }, one === state ? 1 : 0)
      },
    }),
  )
  registry.registerMetric(
    new Gauge({
      name: `${metricNamespace}_health_problems`,
      help: 'How many namespaces, workers, endpoints or guests a problem of the health concerns, by its code.',
      labelNames: ['daemon', 'code'],
      registers: [],
      collect() {
        this.reset()
        for (const { code, howMany } of health().problems) this.inc({ daemon, code }, howMany)
      },
    }),
  )
}
