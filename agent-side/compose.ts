/** How do the parts make an agent? The one file that knows all of them. */
import { partOf, startable, type Part } from '../lib/runtime/lifecycle.ts'
import { createRegistry } from '../lib/observe/metrics.ts'
import { watchEventLoop, watchProcess } from '../lib/observe/process-metrics.ts'
import { composeAdmin } from './admin/compose.ts'
import { LimitMetrics } from './admin/limit-metrics.ts'
import { AgentMetrics } from './admin/metrics.ts'
import { RequestFeed } from './admin/request-feed.ts'
import type { AgentStatus } from '../lib/operator/api/agent-api.ts'
import { composeCompute } from './compute/compose.ts'
import { grantsByHost, type AgentConfig } from './config/config.ts'
import { reportedConfigurations } from './config/neutron-agent-report.ts'
import type { Surroundings } from './config/surroundings.ts'
import { composeLeasing } from './leases/compose.ts'
import { composeListeners } from './listeners/compose.ts'
import { JointStop } from './listeners/succession.ts'
import { TlsListener } from './listeners/tls-listener.ts'
import { createDirectory } from './ports/registry.ts'
import { composeRateLimits, composeRequests, rateLimitSettings } from './requests/compose.ts'
import { composeResolver } from './resolve/compose.ts'
import { composeShield } from './shield/compose.ts'
import { composeFencing } from './served-scopes/compose.ts'

/** An agent, made but not started. */
export interface Agent {
  /** In the order in which they start. */
  readonly parts: readonly Part[]
  status(): Promise<AgentStatus>
  /** Where the admin app listens, once it does. */
  adminAddresses(): readonly string[]
  /** Reads certificates and lists of proxies again. What cannot be used is logged and not used. */
  reload(): void
  /** An exception was not caught. */
  countDefect(): void
  /** Takes the rate limits of another configuration, and nothing else of it. */
  reconfigure(config: AgentConfig): void
}

/** Makes every part of an agent. Nothing is opened before the parts are started. */
export async function composeAgent(config: AgentConfig, around: Surroundings): Promise<Agent> {
  const { clock } = around
  const registry = createRegistry()
  watchProcess(registry, 'agent', clock)
  const metrics = new AgentMetrics(registry)
  const limitMetrics = new LimitMetrics(registry)
  const feed = new RequestFeed({ clock, metrics })
  const isCentral = config.listeners.some(({ tcp }) => tcp !== undefined)
  const directory =
    around.directory ??
    (await createDirectory(config.ports, {
      ...around,
      registry,
      isCentral,
      grantsByHost: grantsByHost(config),
      readsNetworkTags: config.shield.network_tags,
      reportedConfigurations: reportedConfigurations(config),
    }))
  const resolver = composeResolver(config, clock, directory, metrics)
  const computeParts = composeCompute(config, around, metrics, limitMetrics)
  const { upstreams, compute, limit, gate, waiting } = computeParts
  const rateLimits = composeRateLimits(config, around, limitMetrics)
  const fencing = composeFencing(config, around, metrics)
  const fence = fencing?.fence
  const noteServed = (): void => directory.serve?.(fence?.servedScopes ?? new Set())
  fence?.onServed(noteServed)
  fence?.onNarrowed(noteServed)
  const shielding = composeShield(config, around, registry)
  const { shield } = shielding
  const leasing = composeLeasing(config, around, {
    resolver,
    directory,
    rateLimits,
    fence,
    shield,
    computeParts,
    observer: metrics,
  })
  // A lease was granted under the policy of its time.
  shielding.onPolicy(() => leasing?.issuer.revokeAll())
  const { handler, turns, decisions } = composeRequests(config, around, {
    resolver,
    compute,
    waiting,
    fence,
    shield,
    rateLimits,
    leases: leasing?.issuer,
    isReady: () => directory.readiness().ready,
    observer: feed,
  })
  const listeners = composeListeners(config, { handler, fencing, directory }, around, metrics)
  const { admin, status, health } = composeAdmin(config, around, {
    ...computeParts,
    directory,
    resolver,
    fence,
    rateLimits,
    decisions,
    listeners,
    leasing,
    shielding,
    registry,
    feed: feed.events,
  })
  const tlsListeners = listeners.filter((one) => one instanceof TlsListener)
  metrics.watch({ resolver, upstreams, directory })
  metrics.watchCertificates(tlsListeners)
  if (fence) metrics.watchFence(fence)
  limitMetrics.watch({ limit, gate, turns, rateLimits })
  const parts: readonly Part[] = [
    admin,
    startable('compute upstreams', undefined, () => upstreams.close()),
    partOf('compute probe', computeParts.probe),
    partOf('event loop watch', watchEventLoop(registry, 'agent', clock)),
    startable(
      `port directory ${directory.kind}`,
      () => directory.start(),
      async () => {
        resolver.close()
        await directory.close()
      },
    ),
    // Before the first request, after the last one.
    shielding.part,
    ...(fencing ? [fencing.listener] : []),
    ...listeners,
    ...(leasing ? [leasing.listener] : []),
    new JointStop(listeners),
    // Ends first: a stop is no trouble.
    partOf('health', health),
  ]
  return {
    parts,
    status,
    adminAddresses: () => admin.addresses,
    countDefect: () => metrics.countDefect(),
    reconfigure(changed) {
      rateLimits.reconfigure(rateLimitSettings(changed))
      // Requests under a lease are not counted, and none is given while they have to be.
      if (rateLimits.settings.isEnabled) leasing?.issuer.revokeAll()
    },
    reload() {
      for (const listener of tlsListeners) listener.reload()
      shielding.reload()
    },
  }
}
