import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import {
  MetricArea,
  type Counter,
  type Histogram,
  type Registry,
} from '../../lib/observe/metrics.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { ComputeObserver } from '../compute/compute-client.ts'
import type { ConnectionRefusal } from '../listeners/connection-refusals.ts'
import type { Decision } from '../requests/decision-log.ts'
import type { Freshness } from '../ports/directory/port-directory.ts'
import type { LookupKey } from '../resolve/resolution.ts'
import type { ResolverObserver } from '../resolve/resolver.ts'
import type { CutOffReason } from '../requests/unread-answers.ts'
import type { FenceObserver, FenceStatus, WaitOutcome } from '../served-scopes/fence.ts'

/** What is looked at when the metrics are read. */
export interface MeasuredParts {
  readonly resolver: {
    readonly cacheSize: { readonly found: Count; readonly refused: Count }
    readonly openQueries: Count
  }
  readonly upstreams: {
    readonly all: readonly {
      readonly index: Count
      readonly inFlight: Count
      readonly hasRefusedSecrets: boolean
      readonly health: { readonly state: 'up' | 'due' | 'down' }
    }[]
  }
  readonly directory: { readiness(): { readonly ready: boolean } }
}

const milliseconds = 1_000

/** Upper bounds for ages: a remembered identity may be some seconds old. */
const ageBuckets = [0.1, 0.5, 1, 2, 5, 10, 15, 30, 60]

function ingressOf({ ingressPort }: LookupKey): string {
  if (ingressPort === undefined) return 'unknown'
  return ingressPort === 'other' ? 'other' : 'port'
}

/** Every metric of the agent but those of its port directory. */
export class AgentMetrics implements ResolverObserver, ComputeObserver, FenceObserver {
  readonly #requests: Counter<'outcome' | 'reason' | 'status'>
  readonly #ingress: Counter<'ingress'>
  readonly #requestSeconds: Histogram
  readonly #unreadable: Counter<'reason'>
  readonly #refusedConnections: Counter<'why'>
  readonly #unreadCutOff: Counter<'why'>
  readonly #scopeWaits: Counter<'outcome'>
  readonly #resolveSeconds: Histogram
  readonly #queries: Counter<'query' | 'freshness'>
  readonly #cache: Counter<'outcome'>
  readonly #fenced: Counter
  readonly #defects: Counter
  readonly #age: Histogram
  readonly #upstreamSeconds: Histogram<'upstream' | 'outcome'>
  readonly #area: MetricArea

  constructor(registry: Registry) {
    const area = new MetricArea(registry, 'agent')
    this.#area = area
    this.#ingress = area.counter(
      'router_requests_total',
      'Requests through routers, by what is known of the interface they came in through: port (a port of the router), other (none of its ports), unknown (foreign or older proxies).',
      ['ingress'],
    )
    this.#requests = area.counter(
      'requests_total',
      'Requests of guests, by how they ended, our reason code if the answer was ours, and class of status.',
      ['outcome', 'reason', 'status'],
    )
    this.#requestSeconds = area.histogram(
      'request_seconds',
      'Seconds from reading a request to having handed on its answer.',
    )
    this.#unreadable = area.counter(
      'unreadable_requests_total',
      'Connections on which no request could be read, by reason code.',
      ['reason'],
    )
    this.#refusedConnections = area.counter(
      'refused_connections_total',
      'Connections of proxies that were ended for what they are or sent, by why: handshake, certificate, unknown_name, several_names, too_many, lease_message, scopes_account, scopes_message.',
      ['why'],
    )
    this.#unreadCutOff = area.counter(
      'unread_answers_cut_off_total',
      'Answers broken off since their guests did not read them, by why: most_held (all unread ones took too much, and its source had most of it), stalled (too long to be held whole).',
      ['why'],
    )
    this.#scopeWaits = area.counter(
      'unreported_scope_requests_total',
      'Requests of workers for scopes that their supervisor had not reported, by how they ended: served (reported in time), refused, crowded (refused at once, since many waited).',
      ['outcome'],
    )
    this.#resolveSeconds = area.histogram(
      'resolve_seconds',
      'Seconds to resolve a lookup key that no cache held.',
    )
    this.#queries = area.counter(
      'directory_queries_total',
      'Queries of the resolver to the port directory, which may answer them from a copy of its own.',
      ['query', 'freshness'],
    )
    this.#cache = area.counter(
      'cache_lookups_total',
      'Lookups of identities, by whether the cache held an answer.',
      ['outcome'],
    )
    this.#fenced = area.counter(
      'stale_answers_fenced_total',
      'Remembered answers that would have named another instance and were not used.',
    )
    this.#age = area.histogram(
      'mapping_age_seconds',
      'Age of the identity that a request was served with.',
      [],
      ageBuckets,
    )
    this.#upstreamSeconds = area.histogram(
      'upstream_seconds',
      'Seconds of one attempt at a compute upstream, by its place in the configuration and how it ended.',
      ['upstream', 'outcome'],
    )
    this.#defects = area.counter(
      'defects_total',
      'Uncaught exceptions, after which the agent stops in order, to be started again, and those that ended one connection to compute.',
    )
    this.#fenced.inc(0)
    this.#defects.inc(0)
    for (const outcome of ['served', 'refused', 'crowded'] as const) {
      this.#scopeWaits.inc({ outcome }, 0)
    }
    for (const why of ['most_held', 'stalled'] as const) this.#unreadCutOff.inc({ why }, 0)
  }

  /** Adds the gauges, which read the parts when they are read. */
  watch(parts: MeasuredParts): void {
    const area = this.#area
    area.gauge('cache_entries', 'Identities and refusals in the cache.', ['kind'], (gauge) => {
      const { found, refused } = parts.resolver.cacheSize
      gauge.set({ kind: 'found' }, found)
      gauge.set({ kind: 'refused' }, refused)
    })
    area.gauge(
      'open_queries',
      'Lookup keys that the port directory is being queried for.',
      [],
      (gauge) => gauge.set(parts.resolver.openQueries),
    )
    area.gauge('directory_ready', '1 when the port directory is ready.', [], (gauge) =>
      gauge.set(parts.directory.readiness().ready ? 1 : 0),
    )
    const perUpstream = (
      name: string,
      help: string,
      value: (upstream: MeasuredParts['upstreams']['all'][number]) => number,
    ): void => {
      area.gauge(name, help, ['upstream'], (gauge) => {
        for (const one of parts.upstreams.all) gauge.set({ upstream: one.index }, value(one))
      })
    }
    perUpstream('upstream_up', '1 while requests show that it works.', (one) =>
      one.health.state === 'up' ? 1 : 0,
    )
    perUpstream('upstream_in_flight', 'Requests that run or wait.', (one) => one.inFlight)
    perUpstream('upstream_secret_refused', '1 after it refused every secret we have.', (one) =>
      one.hasRefusedSecrets ? 1 : 0,
    )
  }

  /** Adds the ends of the certificates that listeners show. */
  watchCertificates(
    listeners: readonly { readonly address: string; readonly certificate: { expiresAt: number } }[],
  ): void {
    this.#area.gauge(
      'certificate_end_seconds',
      'When the certificate of a listener ends, in seconds since 1970.',
      ['listener'],
      (gauge) => {
        for (const { address, certificate } of listeners) {
          gauge.set({ listener: address }, certificate.expiresAt / milliseconds)
        }
      },
    )
  }

  /** Adds how the fence around the workers of this host stands. */
  watchFence(fence: { readonly status: FenceStatus }): void {
    const area = this.#area
    area.gauge(
      'fence_closed',
      '1 while workers of this host get answers for the scopes alone that their supervisor reports.',
      [],
      (gauge) => gauge.set(fence.status.state === 'open' ? 0 : 1),
    )
    area.gauge('served_scopes', 'Scopes that supervisors of this host report.', [], (gauge) =>
      gauge.set(fence.status.scopes),
    )
    area.gauge(
      'reporting_supervisors',
      'Connected supervisors that have reported their scopes.',
      [],
      (gauge) => gauge.set(fence.status.supervisors),
    )
  }

  decided(decision: Decision): void {
    const { outcome, reason, status, span, resolution, key } = decision
    const statusClass = status === 0 ? 'none' : `${Math.floor(status / 100)}xx`
    this.#requests.inc({ outcome, reason: reason ?? 'none', status: statusClass })
    if (key?.scope.kind === 'router') this.#ingress.inc({ ingress: ingressOf(key) })
    this.#requestSeconds.observe(span / milliseconds)
    if (resolution?.kind === 'found') this.#age.observe(decision.mappingAge / milliseconds)
  }

  countDefect(): void {
    this.#defects.inc()
  }

  unreadable(code: ReasonCode): void {
    this.#unreadable.inc({ reason: code })
  }

  refusedConnection(why: ConnectionRefusal): void {
    this.#refusedConnections.inc({ why })
  }

  waitedForScope(outcome: WaitOutcome): void {
    this.#scopeWaits.inc({ outcome })
  }

  unreadCutOff(why: CutOffReason): void {
    this.#unreadCutOff.inc({ why })
  }

  answeredFromCache(): void {
    this.#cache.inc({ outcome: 'hit' })
  }

  queried(query: 'networks' | 'ports', freshness: Freshness): void {
    this.#queries.inc({ query, freshness })
  }

  staleAnswerFenced(): void {
    this.#fenced.inc()
  }

  resolved(span: Milliseconds): void {
    this.#cache.inc({ outcome: 'miss' })
    this.#resolveSeconds.observe(span / milliseconds)
  }

  attempted(upstream: Count, outcome: string, span: Milliseconds): void {
    this.#upstreamSeconds.observe({ upstream, outcome }, span / milliseconds)
  }
}
