/** How do the parts of the proxy come together? The only file that knows them all. */
import { closeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Clock, Milliseconds } from '../lib/runtime/clock.ts'
import type { Part } from '../lib/runtime/lifecycle.ts'
import type { Logger } from '../lib/runtime/log.ts'
import { ProxyAdmin } from './admin/admin-server.ts'
import type { ProxyStatus } from './admin/status.ts'
import { agentStatuses } from './admin/agent-status.ts'
import {
  planAttachments,
  type AttachmentRules,
  type RefusedNamespace,
} from './namespaces/plan-attachments.ts'
import { ProxyAuditor } from './admin/audit.ts'
import { readMapping, workerCount, type ProxyConfig } from './config/config.ts'
import { workerConfig } from './config/worker-config.ts'
import { untilServing } from './takeover/wait-until-serving.ts'
import { InheritedSockets } from './namespaces/inherited-sockets.ts'
import { OrphanSocket, orphanSocketPath } from './takeover/takeover-socket.ts'
import { LeftWorkers, WorkerRecord, workerRecordPath } from './takeover/left-workers.ts'
import type { RestartState } from './takeover/restart-state.ts'
import type { ServiceStore } from './takeover/systemd-store.ts'
import { NamespaceGrants } from './haproxy-shim/namespace-grants.ts'
import { Canary } from './canary/canary.ts'
import { canaryPlace } from './canary/places.ts'
import { Interception } from './interception/interception.ts'
import { RuleLoader } from './interception/rule-loader.ts'
import { tableName } from './interception/ruleset.ts'
import { LeftoverTables } from './interception/leftover-tables.ts'
import { Listeners } from './namespaces/listeners.ts'
import { createProxyMetrics } from './admin/metrics.ts'
import { NamespaceDiscovery, type FoundNamespace } from './netns/discover.ts'
import type { NamespaceKey } from './netns/namespace-handle.ts'
import type { NftLibrary } from './netlink/nftables.ts'
import { holdersText, PortHolders } from './netns/port-holder.ts'
import type { NamespaceWindow } from './netns/window.ts'
import { workerAccount } from './privileges/accounts.ts'
import { AgentAddresses } from './supervisor/agent-addresses.ts'
import { WorkerPool } from './supervisor/worker-pool.ts'
import type { Lifelines } from './supervisor/worker-process.ts'
import { OvnProvision } from './ovn-provision/ovn-provision.ts'
import { Announcer } from './served-scopes/announcer.ts'
import { scopesSocketsOf } from './config/agent-places.ts'
import { scopeText } from '../lib/identity/scope.ts'

/** What the proxy is made of from outside. */
export interface ProxyDependencies {
  readonly config: ProxyConfig
  readonly clock: Clock
  readonly logger: Logger
  /** The window is made before anything else, while the process is still small and quiet. */
  readonly window: NamespaceWindow
  readonly nftables: NftLibrary
  /** What came from a proxy before this one, and what is done for the next. */
  readonly restart?: RestartState
  /** Path of the worker's program; its place beside this file by default. */
  readonly workerScript?: string
}

/** A proxy that is put together and not yet started. */
export interface Proxy {
  /** In the order in which they start; they stop in reverse. */
  readonly parts: readonly Part[]
  status(): ProxyStatus
  /** Reads certificates again. What cannot be used is told and not used. */
  reload(): void
  /** Call before the parts are closed: workers serve until the next supervisor does, instead of being drained. */
  leaveWorkers(): void
}

/** Rules are looked at less often than namespaces: each takes a visit. */
const passesPerRuleCheck = 2
const passesPerProvisionCheck = 2

/** Wires the parts of the proxy without starting them. */
export function composeProxy(dependencies: ProxyDependencies): Proxy {
  const { config, clock, logger, window, restart } = dependencies
  const rules = attachmentRules(config, window.homeKey)
  let refused: readonly RefusedNamespace[] = []
  let hasLooked = false
  const account = workerAccount(config.workers)

  const metrics = createProxyMetrics({
    countNamespaces: (visit) => listeners.count(visit),
    countInterceptions: (state) => interception.count(state),
    countCanaries: (visit) => canary?.count(visit),
    workerStates: () => pool.status().map(({ state }) => state),
    refusedNamespaces: () => refused.length,
    scopesLinks: () => announcer.status,
    certificateEnd: () => {
      const { certificate } = agentAddresses
      return certificate && certificate.expiresAt / 1_000
    },
    ...(config.ovn_provision.enabled && {
      ovnProvision: {
        countNetworks: (visit) => ovnProvision?.count(visit),
        isLive: (database) =>
          (database === 'southbound'
            ? ovnProvision?.isSouthboundLive
            : ovnProvision?.isLocalLive) === true,
      },
    }),
  })
  const ruleLoader = new RuleLoader({
    window,
    library: dependencies.nftables,
    table: tableName,
  })
  const interception = new Interception({
    interface: config.intercept.interface,
    tcpPort: config.intercept.tcp_port,
    canary: config.canary.enabled,
    loader: ruleLoader,
    checkEvery: config.poll_interval * passesPerRuleCheck,
    clock,
    logger,
    onFailure: () => metrics.interceptionFailures.inc(),
  })
  const agentAddresses: AgentAddresses = new AgentAddresses({
    config,
    clock,
    logger,
    onChange: (addresses) => pool.reconfigureAgents(addresses),
  })
  const pool: WorkerPool = new WorkerPool({
    program: {
      script:
        dependencies.workerScript ?? fileURLToPath(new URL('worker/main.js', import.meta.url)),
      nodeOptions: [`--max-old-space-size=${Math.ceil(config.workers.memory_bytes / 2 ** 20)}`],
      account,
    },
    config: workerConfig(config, agentAddresses.addresses),
    count: workerCount(config),
    clock,
    logger,
    onListening: (listenerIds) => listeners.markListening(listenerIds),
    onRefused: (listenerId, cause) => listeners.markRefused(listenerId, cause),
    onRestart: () => metrics.workerRestarts.inc(),
    onBreach: (breach) => metrics.workerBreaches.inc({ breach }),
    onCanary: (canaryId, outcome) => canary?.told(canaryId, outcome),
    lifelines: restart?.store && lifelinesIn(restart.store),
    onStart: (pids) => workerRecord.note(pids),
  })
  const workerRecord = new WorkerRecord(workerRecordPath(config.admin.socket), logger)
  const holders = new PortHolders(window, clock)
  const inherited = new InheritedSockets(logger, (fd) => restart?.store?.remove(fd))
  inherited.add(restart?.fds ?? [])
  const listeners: Listeners = new Listeners({
    window,
    inherited,
    store: restart?.store,
    sink: pool,
    clock,
    logger,
    backlog: config.limits.backlog,
    beforeListening: (attachment) => {
      if (attachment.intercept) interception.loadInside(attachment)
    },
    onOpened: (attachment) => {
      if (attachment.intercept) interception.add(attachment)
    },
    onRenamed: (attachment) => interception.rename(attachment),
    onClosed: (attachment) => interception.remove(attachment),
    holderOf: ({ path, key }, tcpPort) => holdersText(holders.find(path, key, tcpPort)),
    onServing: (span) => metrics.attachSeconds.observe(span / 1000),
  })
  const canary: Canary | undefined = config.canary.enabled
    ? new Canary({
        window,
        places: () =>
          listeners
            .served()
            .map(({ attachment, bindingKeys }) => canaryPlace(attachment, bindingKeys)),
        send: (canaryId, fd) => pool.askCanary(canaryId, fd),
        interval: config.canary.interval,
        timeout: config.canary.timeout_answer,
        parallel: config.canary.concurrency,
        clock,
        logger,
        onAnswer: (kind, latency) => metrics.canaryLatency.observe({ kind }, latency),
      })
    : undefined
  const ovnProvision: OvnProvision | undefined = config.ovn_provision.enabled
    ? new OvnProvision({
        config: config.ovn_provision,
        logLevel: config.log.level,
        window,
        folder: config.netns_dir,
        fullPass: config.poll_interval * passesPerProvisionCheck,
        clock,
        logger,
        onChanged: (key) => listeners.lookAgain(key),
        onProvisioned: (span) => metrics.provisionSeconds.observe(span / 1000),
        onFailure: () => metrics.provisionFailures.inc(),
        onPlannerRestart: () => metrics.plannerRestarts.inc(),
      })
    : undefined
  const leftovers = new LeftoverTables({
    window,
    loader: ruleLoader,
    tcpPort: config.intercept.tcp_port,
    clock,
    logger,
  })
  const haproxy = new NamespaceGrants({
    controlSocket: config.control.socket,
    listeners,
    rules,
    backlog: config.limits.backlog,
    clock,
    logger,
    planAgain: () => discovery.look(),
  })
  const announcer = new Announcer({
    sockets: scopesSocketsOf(config),
    workers: account?.userId ?? process.geteuid?.() ?? 0,
    clock,
    logger,
  })
  const reconcile = (found: readonly FoundNamespace[]): void => {
    const begin = clock.now()
    const plan = haproxy.claim(planAttachments(found, rules), found)
    tellRefused(plan.refused, refused, logger)
    refused = plan.refused
    announcer.announce(new Set(plan.attachments.map(({ identity }) => scopeText(identity.scope))))
    listeners.apply(plan.attachments)
    ovnProvision?.scanned(found)
    if (!hasLooked) void leftovers.clean(found, new Set(plan.attachments.map(({ key }) => key)))
    hasLooked = true
    metrics.reconcileSeconds.observe((clock.now() - begin) / 1000)
  }
  const discovery = new NamespaceDiscovery({
    directory: config.netns_dir,
    paths: rules.mappings.map(({ netns }) => netns).filter((netns) => netns.startsWith('/')),
    clock,
    logger,
    fullPass: config.poll_interval,
    onScan: reconcile,
  })
  const auditor = new ProxyAuditor({
    listeners,
    interception,
    canary,
    holders,
    window,
    refused: () => refused,
    workers: () => pool.status(),
    agents: () => agentStatuses(config, pool.status()),
    certificate: () => agentAddresses.certificate,
    clock,
  })
  const admin = new ProxyAdmin({
    config,
    agentAddresses,
    listeners,
    interception,
    canary,
    ovnProvision,
    announcer,
    pool,
    auditor,
    registry: metrics.registry,
    refused: () => refused,
    hasLooked: () => hasLooked,
  })
  const orphanSocket = new OrphanSocket({
    path: orphanSocketPath(config.admin.socket),
    // With a store the service manager keeps workers going.
    limit: restart?.store === undefined ? config.restart.orphans : 0,
    onChange: (takeover) => pool.serveUntilTakeover(takeover),
    clock,
    logger,
  })
  const leftWorkers = new LeftWorkers({
    record: workerRecord,
    onGone: () => {
      for (const { attachment } of listeners.holdings()) listeners.retry(attachment.key)
    },
    onKill: () => metrics.workerBreaches.inc({ breach: 'stayed' }),
    clock,
    logger,
  })
  const hasOrphans = restart?.hasOrphans === true
  let leavesWorkers = restart?.store !== undefined
  const isServing = (): boolean => {
    let opening = 0
    listeners.count((_kind, state) => (opening += state === 'opening' ? 1 : 0))
    return hasLooked && opening === 0 && pool.status().every(({ state }) => state === 'ready')
  }
  // Whoever serves after us has the same rules in place already.
  const keepsRules = (): boolean =>
    config.intercept.keep_on_exit || leavesWorkers || (hasOrphans && !hasTakenOver)
  let hasTakenOver = false
  const adminSocket = {
    name: 'admin socket',
    start: () => admin.start(),
    close: () => admin.close(),
  }
  const controlSocket = {
    name: 'control socket',
    start: () => haproxy.start(),
    close: () => haproxy.close(),
  }
  const serving: readonly Part[] = [
    startable(
      'certificate for agents',
      () => agentAddresses.start(),
      () => agentAddresses.close(),
    ),
    // To the end of the workers: what they may ask for is kept for as long.
    startable(
      'served scopes',
      () => announcer.start(),
      () => announcer.close(),
    ),
    startable(
      'workers',
      () => pool.start(),
      () => (leavesWorkers ? pool.leave() : pool.close(config.limits.timeout_drain)),
    ),
    // They are opened as namespaces are discovered.
    startable(
      'listeners',
      () => undefined,
      () => listeners.close(),
    ),
    startable(
      'interception',
      () => interception.start(),
      async () => {
        leftovers.close()
        await interception.close(!keepsRules())
      },
    ),
    startable(
      'discovery',
      () => {
        // The first look asks what was attached before.
        haproxy.restore()
        discovery.start()
      },
      () => discovery.close(),
    ),
    startable(
      'ovn provisioning',
      () => ovnProvision?.start(),
      () => ovnProvision?.close(),
    ),
    startable(
      'canary',
      () => canary?.start(),
      () => canary?.close(),
    ),
  ]
  const follow = async (): Promise<void> => {
    const { lifelines = [] } = restart ?? {}
    if (lifelines.length > 0 || hasOrphans) await untilServing({ isServing, clock })
    for (const fd of lifelines) {
      restart?.store?.remove(fd, 'lifeline')
      closeSync(fd)
    }
    const areReleased = !hasOrphans || (await orphanSocket.start())
    await leftWorkers.seeOff(areReleased)
    hasTakenOver = true
  }
  const closeOrphanSocket = (): void => {
    leftWorkers.close()
    if (leavesWorkers) orphanSocket.leave()
    else orphanSocket.close()
  }
  const following = startable('what ran before', follow, closeOrphanSocket)
  const surviving = startable(
    'takeover socket',
    async () => void (await orphanSocket.start()),
    closeOrphanSocket,
  )
  return {
    status: () => admin.status(),
    reload: () => agentAddresses.reload(),
    leaveWorkers() {
      leavesWorkers ||= config.restart.orphans > 0
    },
    parts: [adminSocket, ...serving, following, controlSocket, surviving],
  }
}

/** From the end of one opener until the next one serves; also when the service manager forgets us. */
const longestGap: Milliseconds = 60_000

function lifelinesIn(store: ServiceStore): Lifelines {
  return {
    deadline: longestGap,
    add: (fd) => store.add(fd, 'lifeline'),
    remove: (fd) => store.remove(fd, 'lifeline'),
  }
}

function startable(
  name: string,
  start: () => void | Promise<void>,
  close: () => void | Promise<void>,
): Part {
  return {
    name,
    start: async () => start(),
    close: async () => close(),
  }
}

function attachmentRules(config: ProxyConfig, homeKey: NamespaceKey): AttachmentRules {
  return {
    discover: config.discover,
    kinds: config.kinds,
    mappings: config.mappings.map(readMapping).filter((mapping) => mapping !== undefined),
    tcpPort: config.intercept.tcp_port,
    intercept: config.intercept.enabled,
    homeKey,
  }
}

/** A contradiction is told when it appears, not at every look. */
function tellRefused(
  now: readonly RefusedNamespace[],
  before: readonly RefusedNamespace[],
  logger: Logger,
): void {
  const told = new Set(before.map(({ netns, why }) => `${netns} ${why}`))
  for (const { netns, why } of now) {
    if (!told.has(`${netns} ${why}`)) logger.error({ netns, why }, 'Namespace is not served')
  }
}
