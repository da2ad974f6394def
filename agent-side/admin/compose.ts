/** How do the operator's queries reach the parts that answer them? */
import { stopGrace } from '../../lib/config/defaults.ts'
import { registryMetrics } from '../../lib/http/admin-app.ts'
import type { EventFeed } from '../../lib/http/event-feed.ts'
import { measureFeed } from '../../lib/http/feed-metrics.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import type { Registry } from '../../lib/observe/metrics.ts'
import { MinuteHistory } from '../../lib/observe/minute-history.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Leasing } from '../leases/compose.ts'
import { untilPredecessorEnds } from '../listeners/succession.ts'
import { TlsListener } from '../listeners/tls-listener.ts'
import { identityRulesOf } from '../resolve/compose.ts'
import type { Shielding } from '../shield/compose.ts'
import { HealthWatch } from '../../lib/operator/health-watch.ts'
import { watchHealth } from '../../lib/operator/health-metrics.ts'
import { createAgentAdminApp } from './admin-app.ts'
import { AdminPart } from './admin-part.ts'
import { agentHealth, agentProof } from './agent-health.ts'
import { statusOf, type ShownParts } from './agent-status.ts'
import { Auditor } from './auditor.ts'
import { Explainer } from './explain.ts'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'

/** Everything that answers queries. */
export interface AgentParts extends ShownParts {
  readonly leasing: Leasing | undefined
  readonly shielding: Shielding
  readonly registry: Registry
  readonly feed: EventFeed<RequestEvent>
}

/** The admin sockets, and the status that they show. */
export interface Administration {
  readonly admin: AdminPart
  readonly status: () => Promise<AgentStatus>
  /** Looks on its own, for the log. */
  readonly health: HealthWatch
}

/** Makes the admin app. It is not served yet. */
export function composeAdmin(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  parts: AgentParts,
): Administration {
  const { directory, resolver, fence, upstreams, decisions, listeners, leasing, registry, feed } =
    parts
  const { timeout_resolve: timeout, timeout_drain: drain } = config.limits
  const { source_mac: sourceMac } = config
  const { socket } = config.admin
  const watched = leasing ? [...listeners, leasing.listener] : listeners
  const health = new HealthWatch({
    parts: () =>
      agentHealth({
        directory,
        upstreams,
        listeners: watched,
        fence,
        decisions,
        shield: parts.shielding,
        clock,
      }),
    served: () => agentProof(decisions),
    clock,
    logger,
  })
  watchHealth(registry, 'agent', () => health.report())
  const status = statusOf(config, clock, parts, () => health.report())
  const explainer = new Explainer({
    resolver,
    sourceMac,
    fence,
    upstreams,
    shield: parts.shielding.shield,
    decisions,
    clock,
    timeout,
  })
  const auditor = new Auditor({
    health: () => health.report(),
    directory,
    ...identityRulesOf(config),
    upstreams,
    decisions,
    certificates: () => listeners.filter((one) => one instanceof TlsListener),
    clock,
    timeout,
  })
  measureFeed(registry, 'agent', feed)
  const history = new MinuteHistory({
    clock,
    registry: () => registry,
    counter: 'overlapd_agent_requests_total',
    histogram: 'overlapd_agent_request_seconds',
  })
  const app = createAgentAdminApp({
    health: () => health.report(),
    metrics: registryMetrics(registry),
    status,
    history: () => history.minutes,
    explainKey: (key) => explainer.explainKey(key),
    explainRequest: (requestId) => explainer.explainRequest(requestId),
    audit: (request) => auditor.audit(request),
    feed,
    shield: () => parts.shielding.report(),
    unseal: (order) => parts.shielding.unseal(order),
  })
  const untilFree = (): Promise<void> => untilPredecessorEnds(socket, drain + stopGrace, logger)
  return { admin: new AdminPart(config.admin, untilFree, app, feed, history), status, health }
}
