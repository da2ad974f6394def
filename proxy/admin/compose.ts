/** How does what operators ask come together with the parts that know it? */
import type { Canary } from '../canary/canary.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Interception } from '../interception/interception.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { Reconciler } from '../namespaces/reconciler.ts'
import type { PortHolders } from '../netns/port-holder.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { Announcer } from '../served-scopes/announcer.ts'
import type { Workers } from '../supervisor/compose.ts'
import { ProxyAdmin } from './admin-server.ts'
import { agentStatuses } from './agent-status.ts'
import { ProxyAuditor } from './audit.ts'
import type { ProxyMetrics } from './metrics.ts'

/** Everything that can be asked. */
export interface AskedParts extends Workers {
  readonly listeners: Listeners
  readonly interception: Interception
  readonly canary: Canary | undefined
  readonly ovnProvision: OvnProvision | undefined
  readonly announcer: Announcer
  readonly holders: PortHolders
  readonly reconciler: Reconciler
  readonly metrics: ProxyMetrics
}

/** Makes the admin listener, and has the gauges read off the parts whenever they are asked for. */
export function composeAdmin(
  { config, clock, window }: Surroundings,
  { metrics, reconciler, holders, ...parts }: AskedParts,
): ProxyAdmin {
  const { pool, agentAddresses, listeners, interception, canary, ovnProvision, announcer } = parts
  const refused = (): Reconciler['refused'] => reconciler.refused
  metrics.watch({
    countNamespaces: (visit) => listeners.count(visit),
    countInterceptions: (state) => interception.count(state),
    countCanaries: (visit) => canary?.count(visit),
    workerStates: () => pool.status().map(({ state }) => state),
    refusedNamespaces: () => reconciler.refused.length,
    scopesLinks: () => announcer.status,
    certificateEnd: () => {
      const { certificate } = agentAddresses
      return certificate && certificate.expiresAt / 1_000
    },
    ...(ovnProvision && {
      ovnProvision: {
        countNetworks: (visit) => ovnProvision.count(visit),
        isLive: (database) =>
          database === 'southbound' ? ovnProvision.isSouthboundLive : ovnProvision.isLocalLive,
      },
    }),
  })
  const auditor = new ProxyAuditor({
    listeners,
    interception,
    canary,
    holders,
    window,
    refused,
    workers: () => pool.status(),
    agents: () => agentStatuses(config, pool.status()),
    certificate: () => agentAddresses.certificate,
    clock,
  })
  return new ProxyAdmin({
    ...parts,
    config,
    auditor,
    registry: metrics.registry,
    refused,
    hasLooked: () => reconciler.hasLooked,
  })
}
