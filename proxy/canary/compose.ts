/** How does the canary come together with the namespaces that it checks? */
import type { ProxyMetrics } from '../admin/metrics.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { WorkerPool } from '../supervisor/worker-pool.ts'
import { Canary } from './canary.ts'
import { canaryPlace } from './places.ts'

/** @returns `undefined` where it is not enabled */
export function composeCanary(
  { config, clock, logger, window }: Surroundings,
  listeners: Listeners,
  pool: WorkerPool,
  metrics: ProxyMetrics,
): Canary | undefined {
  if (!config.canary.enabled) return undefined
  return new Canary({
    window,
    places: () =>
      listeners.served().map(({ attachment, bindingKeys }) => canaryPlace(attachment, bindingKeys)),
    send: (canaryId, fd) => pool.sendCanary(canaryId, fd),
    interval: config.canary.interval,
    timeout: config.canary.timeout_answer,
    parallel: config.canary.concurrency,
    clock,
    logger,
    onAnswer: (kind, latency) => metrics.canaryLatency.observe({ kind }, latency),
  })
}
