/** How does provisioning of OVN networks come together with the namespaces that are served? */
import type { ProxyMetrics } from '../admin/metrics.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import { OvnProvision } from './ovn-provision.ts'

/** Networks are checked less often than namespaces: each check takes a visit. */
const passesPerCheck = 2

/** @returns `undefined` where it is not enabled */
export function composeOvnProvision(
  { config, clock, logger, window }: Surroundings,
  listeners: Listeners,
  metrics: ProxyMetrics,
): OvnProvision | undefined {
  if (!config.ovn_provision.enabled) return undefined
  return new OvnProvision({
    config: config.ovn_provision,
    logLevel: config.log.level,
    window,
    folder: config.netns_dir,
    fullPass: config.poll_interval * passesPerCheck,
    clock,
    logger,
    onChanged: (key) => listeners.lookAgain(key),
    onProvisioned: (span) => metrics.provisionSeconds.observe(span / 1_000),
    onFailure: () => metrics.provisionFailures.inc(),
    onPlannerRestart: () => metrics.plannerRestarts.inc(),
  })
}
