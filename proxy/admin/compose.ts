/** How do the operator's queries reach the parts that answer them? */
import { HealthWatch } from '../../lib/operator/health-watch.ts'
import { watchHealth } from '../../lib/operator/health-metrics.ts'
import { EventFeed } from '../../lib/http/event-feed.ts'
import { measureFeed } from '../../lib/http/feed-metrics.ts'
import { MinuteHistory } from '../../lib/observe/minute-history.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import type { Canary } from '../canary/canary.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Interception } from '../interception/interception.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import { isToBeServed, type AttachmentRules } from '../namespaces/plan-attachments.ts'
import type { NamespaceDiscovery } from '../netns/discover.ts'
import type { Reconciler } from '../namespaces/reconciler.ts'
import type { PortHolders } from '../netns/port-holder.ts'
import type { OvnProvision } from '../ovn-provision/ovn-provision.ts'
import type { Announcer } from '../served-scopes/announcer.ts'
import type { Workers } from '../supervisor/compose.ts'
import { ProxyAdmin } from './admin-server.ts'
import { agentStatuses } from './agent-status.ts'
import { ProxyAuditor } from './audit.ts'
import { missingCapabilities } from './missing-capabilities.ts'
import { ProxyHealth } from './proxy-health.ts'
import type { ProxyMetrics } from './metrics.ts'
import { RequestPoll } from './request-poll.ts'

/** Everything that answers queries. */
export interface ProxyParts extends Workers {
  readonly listeners: Listeners
  readonly interception: Interception
  readonly canary: Canary | undefined
  readonly ovnProvision: OvnProvision | undefined
  readonly announcer: Announcer
  readonly holders: PortHolders
  readonly reconciler: Reconciler
  readonly discovery: Pick<NamespaceDiscovery, 'unmounted'>
  readonly rules: AttachmentRules
  readonly metrics: ProxyMetrics
}

/** The admin listener, and the health that it shows. */
export interface Administration {
  readonly admin: ProxyAdmin
  /** Looks on its own, for the log. */
  readonly health: HealthWatch
}

/** Makes the admin listener, and has the gauges read off the parts whenever they are read. */
export function composeAdmin(
  { config, clock, window, logger }: Surroundings,
  { metrics, reconciler, holders, discovery, rules, ...parts }: ProxyParts,
): Administration {
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
  const proxyHealth = new ProxyHealth({
    listeners,
    interception,
    canary,
    ovnProvision,
    pool,
    agents: () => agentStatuses(config, pool.status()),
    refused,
    unmounted: () => discovery.unmounted.filter((netns) => isToBeServed(netns, rules)),
    hasLooked: () => reconciler.hasLooked,
    missingCapabilities: missingCapabilities(rules),
    certificateEnds: () => agentAddresses.certificate?.expiresAt,
    wallTime: () => clock.wallTime(),
  })
  const health = new HealthWatch({
    parts: () => proxyHealth.parts(),
    served: () => proxyHealth.proof(),
    clock,
    logger,
  })
  watchHealth(metrics.registry, 'proxy', () => health.report())
  const auditor = new ProxyAuditor({
    health: () => health.report(),
    listeners,
    interception,
    canary,
    holders,
    window,
    refused,
    workers: () => pool.status(),
    certificate: () => agentAddresses.certificate,
    clock,
  })
  const feed = new EventFeed<RequestEvent>({ clock, onWatched: (isOn) => poll.turn(isOn) })
  const poll: RequestPoll = new RequestPoll({ pool, feed, clock })
  measureFeed(metrics.registry, 'proxy', feed)
  const admin = new ProxyAdmin({
    ...parts,
    feed,
    history: new MinuteHistory({
      clock,
      registry: () => pool.metrics(),
      counter: 'overlapd_proxy_requests_total',
      histogram: 'overlapd_proxy_agent_duration_seconds',
    }),
    config,
    auditor,
    registry: metrics.registry,
    refused,
    health: () => health.report(),
  })
  return { admin, health }
}
