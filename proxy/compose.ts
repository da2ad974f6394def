/** How do the parts of the proxy come together? The only file that knows them all. */
import { watchEventLoop, watchProcess } from '../lib/observe/process-metrics.ts'
import { partOf, startable, type Part } from '../lib/runtime/lifecycle.ts'
import { composeAdmin } from './admin/compose.ts'
import { createProxyMetrics } from './admin/metrics.ts'
import type { ProxyStatus } from '../lib/operator/api/proxy-api.ts'
import type { Canary } from './canary/canary.ts'
import { composeCanary } from './canary/compose.ts'
import type { Surroundings } from './config/surroundings.ts'
import { composeNamespaceGrants } from './haproxy-shim/compose.ts'
import { composeRules } from './interception/compose.ts'
import { attachmentRules, composeDiscovery, composeListeners } from './namespaces/compose.ts'
import type { Listeners } from './namespaces/listeners.ts'
import { Reconciler } from './namespaces/reconciler.ts'
import type { NftLibrary } from './netlink/nftables.ts'
import { PortHolders } from './netns/port-holder.ts'
import { composeOvnProvision } from './ovn-provision/compose.ts'
import type { OvnProvision } from './ovn-provision/ovn-provision.ts'
import { composeAnnouncer } from './served-scopes/compose.ts'
import { composeStrays, composeWorkers } from './supervisor/compose.ts'
import { Takeover } from './takeover/compose.ts'
import { WorkerRecord, workerRecordPath } from './takeover/left-workers.ts'
import type { RestartState } from './takeover/restart-state.ts'

/** What the proxy is made of from outside. */
export interface ProxyDependencies extends Surroundings {
  readonly nftables: NftLibrary
  /** What came from a proxy before this one, and what is done for the next. */
  readonly restart?: RestartState
}

/** A proxy that is put together and not yet started. */
export interface Proxy {
  /** In the order in which they start; they stop in reverse. */
  readonly parts: readonly Part[]
  status(): ProxyStatus
  /** Reads certificates again. What cannot be used is logged and not used. */
  reload(): void
  /** Call before the parts are closed: workers serve until the next supervisor does, instead of being drained. */
  leaveWorkers(): void
}

/** Wires the parts of the proxy without starting them. */
export function composeProxy(around: ProxyDependencies): Proxy {
  const { config, clock, logger, window, restart } = around
  const metrics = createProxyMetrics()
  watchProcess(metrics.registry, 'proxy', clock)
  const rules = attachmentRules(config, window.homeKey)
  const record = new WorkerRecord(workerRecordPath(config.admin.socket), logger)
  const workers = composeWorkers(around, {
    metrics,
    record,
    store: restart?.store,
    onListening: (listenerIds) => listeners.markListening(listenerIds),
    onRefused: (listenerId, cause) => listeners.markRefused(listenerId, cause),
    onCanary: (canaryId, outcome) => canary?.report(canaryId, outcome),
    onEnd: () => strays?.look(),
  })
  const { pool, agentAddresses } = workers
  const redirection = composeRules(around, around.nftables, metrics)
  const holders = new PortHolders(window, clock)
  const strays = composeStrays(around, {
    metrics,
    record,
    known: () => [...pool.pids, ...(ovnProvision?.pids ?? [])],
    inodes: () => listeners.inodes(),
  })
  const listeners: Listeners = composeListeners(around, {
    sink: pool,
    interception: redirection.interception,
    holders,
    strays,
    restart,
    metrics,
  })
  const canary: Canary | undefined = composeCanary(around, listeners, pool, metrics)
  const ovnProvision: OvnProvision | undefined = composeOvnProvision(around, listeners, metrics)
  const haproxy = composeNamespaceGrants(around, listeners, rules, () => discovery.look())
  const announcer = composeAnnouncer(around)
  const reconciler = new Reconciler({
    rules,
    haproxy,
    announcer,
    listeners,
    ovnProvision,
    leftovers: redirection.leftovers,
    metrics,
    clock,
    logger,
  })
  const discovery = composeDiscovery(around, rules, (found) => reconciler.reconcile(found))
  const takeover = new Takeover(around, {
    restart,
    record,
    pool,
    listeners,
    metrics,
    hasLooked: () => reconciler.hasLooked,
    onGone: () => strays?.look(),
  })
  const { admin, health } = composeAdmin(around, {
    ...workers,
    listeners,
    interception: redirection.interception,
    canary,
    ovnProvision,
    announcer,
    holders,
    reconciler,
    discovery,
    rules,
    metrics,
  })
  const parts: readonly Part[] = [
    partOf('admin socket', admin),
    partOf('certificate for agents', agentAddresses),
    // To the end of the workers: what they may send requests for is kept for as long.
    partOf('served scopes', announcer),
    workers.part(() => takeover.leavesWorkers),
    // They are opened as namespaces are discovered.
    startable('listeners', undefined, () => listeners.close()),
    redirection.part(() => takeover.keepsRules),
    startable(
      'discovery',
      () => {
        // The first look needs what was attached before.
        haproxy.restore()
        discovery.start()
      },
      () => discovery.close(),
    ),
    partOf('ovn provisioning', ovnProvision),
    partOf('canary', canary),
    partOf('health', health),
    partOf('event loop watch', watchEventLoop(metrics.registry, 'proxy', clock)),
    takeover.following,
    partOf('control socket', haproxy),
    takeover.surviving,
  ]
  return {
    parts,
    status: () => admin.status(),
    reload: () => agentAddresses.reload(),
    leaveWorkers: () => takeover.leaveWorkers(),
  }
}
