/** How does a running agent stand, in one answer? */
import { scopeText } from '../../lib/identity/scope.ts'
import type { Clock, Count } from '../../lib/runtime/clock.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import { packageVersion } from '../../lib/runtime/package-version.ts'
import type { ComputeParts } from '../compute/compose.ts'
import type { Upstream } from '../compute/upstreams.ts'
import type { AgentConfig } from '../config/config.ts'
import type { TlsListener } from '../listeners/tls-listener.ts'
import { UnixListener } from '../listeners/unix-listener.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'
import type { Decision, DecisionLog } from '../requests/decision-log.ts'
import type { GuestRateLimits } from '../requests/guest-rate-limits.ts'
import type { Resolver } from '../resolve/resolver.ts'
import type { Fence } from '../served-scopes/fence.ts'
import type { AgentStatus } from '../../lib/operator/api/agent-api.ts'

/** The parts whose state is shown. */
export interface ShownParts extends Pick<ComputeParts, 'upstreams' | 'limit' | 'gate'> {
  readonly directory: PortDirectory
  readonly resolver: Resolver
  readonly rateLimits: GuestRateLimits
  readonly decisions: DecisionLog
  readonly listeners: readonly (UnixListener | TlsListener)[]
  readonly fence: Fence | undefined
}

const shownRefusals: Count = 50
const shownOffenders: Count = 20

/** @returns what gives the status at the moment when it is called */
export function statusOf(
  config: AgentConfig,
  clock: Clock,
  parts: ShownParts,
  health: () => HealthReport,
): () => Promise<AgentStatus> {
  const began = clock.now()
  const { directory, resolver, upstreams, limit, gate, rateLimits, decisions } = parts
  return async () => {
    const { rss, heapUsed } = process.memoryUsage()
    return {
      version: packageVersion(),
      node: process.version,
      pid: process.pid,
      uptime: Math.round((clock.now() - began) / 1_000),
      memory: { rss, heapUsed },
      health: health(),
      directory: { kind: directory.kind, ...directory.readiness() },
      sourceMac: config.source_mac,
      listeners: await Promise.all(parts.listeners.map(listenerStatus)),
      ...(config.listeners.some(({ kind, tcp }) => kind === 'overlapd' && tcp === undefined) && {
        servedScopes: parts.fence?.status ?? { state: 'off' },
      }),
      upstreams: upstreams.all.map(upstreamStatus),
      cache: { ...resolver.cacheSize, openQueries: resolver.openQueries },
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
}

async function listenerStatus(
  listener: UnixListener | TlsListener,
): Promise<AgentStatus['listeners'][number]> {
  const connections = await listener.connections()
  if (listener instanceof UnixListener) {
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

function upstreamStatus(upstream: Upstream): AgentStatus['upstreams'][number] {
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

function recentRefusal(decision: Decision): AgentStatus['recentRefusals'][number] {
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
