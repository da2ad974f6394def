/** How do the parts make an agent? The one file that knows all of them. */
import { mkdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { packageVersion } from '../lib/runtime/package-version.ts'
import { AdaptiveLimit } from '../lib/admission/adaptive-limit.ts'
import { BootWatch } from '../lib/admission/boot-detector.ts'
import type { Clock, Count } from '../lib/runtime/clock.ts'
import { FairGate, type FairGateOptions } from '../lib/admission/fair-gate.ts'
import { registryMetrics } from '../lib/http/admin-app.ts'
import { serveApp, type ListenAt, type Serving } from '../lib/http/serve.ts'
import type { Part } from '../lib/runtime/lifecycle.ts'
import type { Logger } from '../lib/runtime/log.ts'
import { createRegistry } from '../lib/observe/metrics.ts'
import { RefusalLog } from '../lib/observe/refusal-log.ts'
import { scopeText } from '../lib/identity/scope.ts'
import { Secret } from '../lib/runtime/secret.ts'
import { createAgentAdminApp } from './admin/admin-app.ts'
import type { AgentStatus, RecentRefusal, UpstreamStatus } from './admin/status.ts'
import { AgentListener } from './listeners/unix-listener.ts'
import { App } from './requests/request-handler.ts'
import { Auditor } from './admin/auditor.ts'
import { CoalescingCompute } from './compute/coalescing.ts'
import { ComputeClient, type Forwarder } from './compute/compute-client.ts'
import { leaseTerms } from './compute/lease-terms.ts'
import { RequestSigner } from './compute/signed-headers.ts'
import { Upstreams, type Upstream } from './compute/upstreams.ts'
import type { AgentConfig } from './config/config.ts'
import { ConnectionRefusals } from './listeners/connection-refusals.ts'
import { DecisionLog, type Decision } from './requests/decision-log.ts'
import { Explainer } from './admin/explain.ts'
import { GuestRateLimits, type RateLimitSettings } from './requests/guest-rate-limits.ts'
import { LeaseDesk } from './leases/lease-issuer.ts'
import { LeaseListener } from './leases/lease-listener.ts'
import { LimitMetrics } from './admin/limit-metrics.ts'
import type { Peer } from './peers/lookup-key.ts'
import { AgentMetrics } from './admin/metrics.ts'
import type { PortDirectory } from './ports/directory/port-directory.ts'
import { createDirectory } from './ports/registry.ts'
import { ProxyGrants } from './peers/proxy-grants.ts'
import { readProxyList } from './config/proxy-list.ts'
import { ProxyTurns } from './requests/proxy-turns.ts'
import { reportedConfigurations } from './config/neutron-agent-report.ts'
import type { IdentityRules } from './resolve/identity-policy.ts'
import { Resolver } from './resolve/resolver.ts'
import { routedRulesOf } from './config/routed-config.ts'
import { JointStop, untilPredecessorEnds } from './listeners/succession.ts'
import { stopGrace } from '../lib/config/defaults.ts'
import { mutualTlsFiles } from '../lib/config/shared-options.ts'
import { TlsListener } from './listeners/tls-listener.ts'
import { proxyAccount } from '../lib/files/accounts.ts'
import { composeFencing, type Fencing } from './served-scopes/compose.ts'
import type { Fence } from './served-scopes/fence.ts'

/** What an agent is given to live with. */
export interface Surroundings {
  readonly clock: Clock
  readonly logger: Logger
  /** The variables of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Stands for the configured port directory, in tests. */
  readonly directory?: PortDirectory
}

/** An agent, made but not started. */
export interface Agent {
  /** In the order in which they start. */
  readonly parts: readonly Part[]
  status(): Promise<AgentStatus>
  /** Where the admin app listens, once it does. */
  adminAddresses(): readonly string[]
  /** Reads certificates and lists of proxies again. What cannot be used is told and not used. */
  reload(): void
  /** Something was thrown that nobody caught. */
  countDefect(): void
  /** Takes the rate limits of another configuration, and nothing else of it. */
  reconfigure(config: AgentConfig): void
}

const shownRefusals = 50
const shownOffenders = 20

function upstreamStatus(upstream: Upstream): UpstreamStatus {
  const { url, health, inFlight, answers, failures, lastFailure, secretSlot } = upstream
  return {
    url,
    state: health.state,
    inFlight,
    answers,
    failures,
    ...(lastFailure && {
      lastFailure: { why: lastFailure.why, at: new Date(lastFailure.at).toISOString() },
    }),
    secret: secretSlot,
    refusesSecrets: upstream.hasRefusedSecrets,
  }
}

function recentRefusal(decision: Decision): RecentRefusal {
  const { at, requestId, outcome, status, reason, key, target, span } = decision
  return {
    at: new Date(at).toISOString(),
    requestId,
    outcome,
    status,
    ...(reason && { reason }),
    ...(key && { scope: scopeText(key.scope), sourceIp: key.sourceIp }),
    ...(key?.sourceMac && { sourceMac: key.sourceMac }),
    ...(key?.ingressPort && { ingressPort: key.ingressPort }),
    target,
    span,
  }
}

function peerOf(listener: AgentConfig['listeners'][number]): Peer {
  return listener.kind === 'overlapd'
    ? { kind: 'overlapd' }
    : { kind: 'neutron', flavour: listener.flavour }
}

interface ComputeParts {
  readonly upstreams: Upstreams
  readonly signer: RequestSigner
  readonly compute: Forwarder
  readonly limit: AdaptiveLimit
  readonly gate: FairGate
  readonly turns: ProxyTurns
}

/** Slots that booting instances get for each one of the others, while both wait. */
const bootPreference: Count = 12

function createCompute(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  metrics: AgentMetrics,
  limitMetrics: LimitMetrics,
): ComputeParts {
  const { compute: options } = config
  const upstreams = new Upstreams({
    urls: options.upstreams,
    tls: {
      caFile: options.tls.ca_file,
      certFile: options.tls.certificate_file,
      keyFile: options.tls.key_file,
      insecure: options.tls.insecure,
    },
    connections: options.connections,
    timeoutConnect: options.timeout_connect,
    timeoutHeaders: options.timeout_headers,
    timeoutBody: options.timeout_body,
    clock,
    logger,
  })
  const signer = new RequestSigner({
    current: options.shared_secret ?? new Secret(''),
    next: options.next_shared_secret,
  })
  const limit = new AdaptiveLimit({ clock, ...concurrencyOf(options) })
  const waiting: FairGateOptions = {
    clock,
    limit,
    max: options.queue,
    maxPerProject: options.queue_per_project,
    preference: bootPreference,
    longestWait: options.timeout_queue,
    longestRetryAfter: Math.floor(options.queue_retry_after / 1_000),
    random: Math.random,
    observer: limitMetrics,
  }
  const gate = new FairGate(waiting)
  const client = new ComputeClient({
    upstreams,
    signer,
    clock,
    logger,
    limit,
    gate,
    timeoutRestart: options.timeout_restart,
    observer: metrics,
  })
  const { coalesce: ttl, coalesce_bytes: maxBytes } = options
  const compute =
    ttl === 0
      ? client
      : new CoalescingCompute({ compute: client, clock, ttl, maxBytes, observer: limitMetrics })
  return { upstreams, signer, compute, limit, gate, turns: new ProxyTurns(waiting) }
}

/** Never more than there are connections: beyond that requests would wait in one line, whoever they are from. */
function concurrencyOf(options: AgentConfig['compute']): {
  readonly min: Count
  readonly start: Count
  readonly max: Count
} {
  const max = Math.min(options.concurrency, options.connections)
  return {
    min: Math.min(options.concurrency_min, max),
    start: Math.min(options.concurrency_start, max),
    max,
  }
}

function rateLimitSettings({ rate_limit: options }: AgentConfig): RateLimitSettings {
  return {
    isEnabled: options.enabled,
    isDryRun: options.dry_run,
    limits: {
      base: { span: options.base_window_duration, limit: options.base_query_rate_limit },
      burst: { span: options.burst_window_duration, limit: options.burst_query_rate_limit },
    },
  }
}

function rulesOf(config: AgentConfig): IdentityRules {
  return { sourceMac: config.source_mac, routed: routedRulesOf(config) }
}

function createResolver(
  config: AgentConfig,
  clock: Clock,
  directory: PortDirectory,
  observer: AgentMetrics,
): Resolver {
  const { cache, limits } = config
  return new Resolver({
    directory,
    clock,
    ...rulesOf(config),
    cache: {
      max: cache.max,
      ttl: cache.ttl,
      maxNegative: cache.max_negative,
      maxNegativePerScope: cache.max_negative_per_scope,
      ttlNegative: cache.ttl_negative,
    },
    timeout: limits.timeout_resolve,
    maxQuestions: limits.questions,
    maxQuestionsPerScope: limits.questions_per_scope,
    observer,
  })
}

interface LeasedParts {
  readonly resolver: Resolver
  readonly directory: PortDirectory
  readonly rateLimits: GuestRateLimits
  readonly fence: Fence | undefined
  readonly computeParts: ComputeParts
  readonly observer: AgentMetrics
}

/** Absent where leases are not wanted. */
function createLeasing(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  { resolver, directory, rateLimits, fence, computeParts, observer }: LeasedParts,
): { readonly desk: LeaseDesk; readonly listener: LeaseListener } | undefined {
  const { leases, compute, limits } = config
  if (!leases.enabled) return undefined
  const { upstreams, signer } = computeParts
  const tls = {
    caFile: compute.tls.ca_file,
    keyFile: compute.tls.key_file,
    insecure: compute.tls.insecure,
  }
  const desk = new LeaseDesk({
    verdicts: resolver,
    directory,
    fence,
    // What is not seen here cannot be limited here.
    upstreamsFor: (identity) =>
      rateLimits.settings.isEnabled ? [] : leaseTerms(upstreams, signer, tls, identity),
    concurrency: concurrencyOf(compute),
    clock,
    ttl: leases.ttl,
    oldest: config.cache.ttl,
    maxPerHolder: leases.per_worker,
  })
  const { socket: path, mode, user, group } = leases
  const socket = { path, mode, user, group, backlog: limits.backlog, usualGroup: proxyAccount }
  const refusals = new ConnectionRefusals({ clock, logger, observer })
  return { desk, listener: new LeaseListener({ desk, socket, refusals }) }
}

function createListeners(
  config: AgentConfig,
  app: App,
  fencing: Fencing | undefined,
  { clock, logger }: Surroundings,
  observer: AgentMetrics,
): readonly (AgentListener | TlsListener)[] {
  const { limits: set } = config
  const limits = {
    headBytes: set.head_bytes,
    timeoutHead: set.timeout_head,
    timeoutRequest: set.timeout_request,
    timeoutKeepAlive: set.timeout_keep_alive,
    connections: set.connections,
    drain: set.timeout_drain,
  }
  return config.listeners.map((listener) => {
    const { tcp, tls, proxies, proxies_file: file } = listener
    if (tcp === undefined) {
      const { socket: path, mode, user, group } = listener
      const usualGroup = listener.kind === 'overlapd' ? proxyAccount : undefined
      const socket = { path, mode, user, group, backlog: set.backlog, usualGroup }
      const userOf = fencing && ((one: Socket) => fencing.users.userOf(one))
      const peer = peerOf(listener)
      return new AgentListener({ app, peer, socket, limits, userOf, logger, observer })
    }
    // The check of the configuration refuses it; nothing here may depend on that having run.
    if (tls === undefined) throw new TypeError('A TCP listener without TLS')
    return new TlsListener({
      app,
      address: tcp,
      backlog: set.backlog,
      files: mutualTlsFiles(tls),
      grants: new ProxyGrants(proxies),
      ...(file !== undefined && { grantsFile: { path: file, read: () => readProxyList(file) } }),
      limits: {
        ...limits,
        timeoutHandshake: tls.timeout_handshake,
        maxConnectionAge: tls.max_connection_age,
        connectionsPerProxy: tls.connections_per_proxy,
      },
      clock,
      logger,
      observer,
    })
  })
}

async function listenerStatus(
  listener: AgentListener | TlsListener,
): Promise<AgentStatus['listeners'][number]> {
  const connections = await listener.connections()
  if (listener instanceof AgentListener) {
    const { path: socket, peer } = listener
    const kind = peer.kind === 'neutron' ? `neutron ${peer.flavour}` : 'overlapd'
    return { socket, kind, connections }
  }
  const { expiresAt, refusal } = listener.certificate
  return {
    socket: listener.address,
    kind: 'overlapd over TLS',
    connections,
    certificateEnds: new Date(expiresAt).toISOString(),
    ...(refusal !== undefined && { refusedFiles: refusal }),
  }
}

/** Makes every part of an agent. Nothing is opened before the parts are started. */
export async function composeAgent(config: AgentConfig, around: Surroundings): Promise<Agent> {
  const { clock, logger, environment } = around
  const registry = createRegistry()
  const metrics = new AgentMetrics(registry)
  const directory =
    around.directory ??
    (await createDirectory(config.ports, {
      clock,
      logger,
      registry,
      environment,
      reportedConfigurations: reportedConfigurations(config),
    }))
  const resolver = createResolver(config, clock, directory, metrics)
  const limitMetrics = new LimitMetrics(registry)
  const computeParts = createCompute(config, around, metrics, limitMetrics)
  const { upstreams, compute, limit, gate, turns } = computeParts
  const { boot } = config
  const rateLimits = new GuestRateLimits({
    clock,
    settings: rateLimitSettings(config),
    maxInstances: config.rate_limit.instances,
    observer: limitMetrics,
  })
  const fencing = composeFencing(config, around, metrics)
  const leasing = createLeasing(config, around, {
    resolver,
    directory,
    rateLimits,
    fence: fencing?.fence,
    computeParts,
    observer: metrics,
  })
  const decisions = new DecisionLog(config.admin.decisions)
  const app = new App({
    resolver,
    sourceMac: config.source_mac,
    compute,
    turns,
    fence: fencing?.fence,
    boots: new BootWatch({ clock, ...boot, max: config.rate_limit.instances }),
    rateLimits,
    leases: leasing?.desk,
    decisions,
    clock,
    logger,
    refusals: new RefusalLog(logger, clock),
    bodyLimit: config.limits.body_bytes,
    isReady: () => directory.readiness().ready,
    observer: metrics,
  })
  const listeners = createListeners(config, app, fencing, around, metrics)
  metrics.watch({ resolver, upstreams, directory })
  limitMetrics.watch({ limit, gate, turns, rateLimits })
  if (fencing) metrics.watchFence(fencing.fence)
  const began = clock.now()

  const status = async (): Promise<AgentStatus> => {
    const { rss, heapUsed } = process.memoryUsage()
    return {
      version: packageVersion(),
      pid: process.pid,
      uptime: Math.round((clock.now() - began) / 1_000),
      memory: { rss, heapUsed },
      directory: { kind: directory.kind, ...directory.readiness() },
      sourceMac: config.source_mac,
      listeners: await Promise.all(listeners.map(listenerStatus)),
      ...(config.listeners.some(({ kind, tcp }) => kind === 'overlapd' && tcp === undefined) && {
        servedScopes: fencing?.fence.status ?? { state: 'off' },
      }),
      upstreams: upstreams.all.map(upstreamStatus),
      cache: { ...resolver.cacheSize, openQuestions: resolver.openQuestions },
      compute: { limit: limit.value, running: gate.running, waiting: gate.waiting },
      rateLimit: {
        enabled: rateLimits.settings.isEnabled,
        dryRun: rateLimits.settings.isDryRun,
        offenders: rateLimits.offenders(shownOffenders).map(({ key, refused }) => ({
          instanceId: key,
          refused,
        })),
      },
      recentRefusals: decisions.latestRefusals(shownRefusals).map(recentRefusal),
    }
  }

  const timeout = config.limits.timeout_resolve
  const explainer = new Explainer({
    resolver,
    sourceMac: config.source_mac,
    fence: fencing?.fence,
    upstreams,
    decisions,
    clock,
    timeout,
  })
  const tlsListeners = listeners.filter((one) => one instanceof TlsListener)
  const auditor = new Auditor({
    directory,
    ...rulesOf(config),
    upstreams,
    decisions,
    certificates: () => tlsListeners,
    clock,
    timeout,
  })
  const admin = new AdminPart(
    config.admin,
    () =>
      untilPredecessorEnds(config.admin.socket, config.limits.timeout_drain + stopGrace, logger),
    createAgentAdminApp({
      readiness: () => [
        { name: 'directory', ...directory.readiness() },
        ...listeners.map((one) => one.readiness()),
        ...(leasing ? [leasing.listener.readiness()] : []),
      ],
      metrics: registryMetrics(registry),
      status,
      explainKey: (key) => explainer.explainKey(key),
      explainRequest: (requestId) => explainer.explainRequest(requestId),
      audit: (request) => auditor.audit(request),
    }),
  )
  const parts: readonly Part[] = [
    admin,
    {
      name: 'compute upstreams',
      start: () => Promise.resolve(),
      close: () => upstreams.close(),
    },
    {
      name: `port directory ${directory.kind}`,
      start: () => directory.start(),
      async close() {
        resolver.close()
        await directory.close()
      },
    },
    // Before the first request, after the last one.
    ...(fencing ? [fencing.listener] : []),
    ...listeners,
    ...(leasing ? [leasing.listener] : []),
    new JointStop(listeners),
  ]
  metrics.watchCertificates(tlsListeners)
  return {
    parts,
    status,
    adminAddresses: () => admin.addresses,
    countDefect: () => metrics.countDefect(),
    reconfigure(changed) {
      rateLimits.reconfigure(rateLimitSettings(changed))
      // Requests under a lease are not counted, and none is given while they have to be.
      if (rateLimits.settings.isEnabled) leasing?.desk.revokeAll()
    },
    reload() {
      for (const listener of tlsListeners) listener.reload()
    },
  }
}

/** The admin app on its sockets: first up and last down, so that a start that hangs can be looked into. */
class AdminPart implements Part {
  readonly name = 'admin'
  readonly #config: AgentConfig['admin']
  readonly #untilFree: () => Promise<void>
  readonly #app: ReturnType<typeof createAgentAdminApp>
  #serving: Serving | undefined

  constructor(
    config: AgentConfig['admin'],
    untilFree: () => Promise<void>,
    app: ReturnType<typeof createAgentAdminApp>,
  ) {
    this.#config = config
    this.#untilFree = untilFree
    this.#app = app
  }

  get addresses(): readonly string[] {
    return this.#serving?.addresses ?? []
  }

  async start(): Promise<void> {
    const { socket, mode, tcp } = this.#config
    mkdirSync(dirname(socket), { recursive: true, mode: 0o755 })
    await this.#untilFree()
    const listen: ListenAt[] = [{ socket, mode }]
    if (tcp !== undefined) listen.push({ host: tcp.address, tcpPort: tcp.tcpPort })
    this.#serving = await serveApp({ app: this.#app, listen })
  }

  async close(): Promise<void> {
    await this.#serving?.close()
  }
}
