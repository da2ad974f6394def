import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import {
  Counter,
  Gauge,
  Histogram,
  latencyBuckets,
  metricNamespace,
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

const prefix = `${metricNamespace}_agent`
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
  readonly #registry: Registry

  constructor(registry: Registry) {
    this.#registry = registry
    const registers = [registry]
    this.#ingress = new Counter({
      name: `${prefix}_router_requests_total`,
      help: 'Requests through routers, by what is known of the interface they came in through: port (a port of the router), other (none of its ports), unknown (foreign or older proxies).',
      labelNames: ['ingress'],
      registers,
    })
    this.#requests = new Counter({
      name: `${prefix}_requests_total`,
      help: 'Requests of guests, by how they ended, our reason code if the answer was ours, and class of status.',
      labelNames: ['outcome', 'reason', 'status'],
      registers,
    })
    this.#requestSeconds = new Histogram({
      name: `${prefix}_request_seconds`,
      help: 'Seconds from reading a request to having handed on its answer.',
      buckets: latencyBuckets,
      registers,
    })
    this.#unreadable = new Counter({
      name: `${prefix}_unreadable_requests_total`,
      help: 'Connections on which no request could be read, by reason code.',
      labelNames: ['reason'],
      registers,
    })
    this.#refusedConnections = new Counter({
      name: `${prefix}_refused_connections_total`,
      help: 'Connections of proxies that were ended for what they are or sent, by why: handshake, certificate, unknown_name, several_names, too_many, lease_message, scopes_account, scopes_message.',
      labelNames: ['why'],
      registers,
    })
    this.#unreadCutOff = new Counter({
      name: `${prefix}_unread_answers_cut_off_total`,
      help: 'Answers broken off since their guests did not read them, by why: most_held (all unread ones took too much, and its source had most of it), stalled (too long to be held whole).',
      labelNames: ['why'],
      registers,
    })
    this.#scopeWaits = new Counter({
      name: `${prefix}_unreported_scope_requests_total`,
      help: 'Requests of workers for scopes that their supervisor had not reported, by how they ended: served (reported in time), refused, crowded (refused at once, since many waited).',
      labelNames: ['outcome'],
      registers,
    })
    this.#resolveSeconds = new Histogram({
      name: `${prefix}_resolve_seconds`,
      help: 'Seconds to resolve a lookup key that no cache held.',
      buckets: latencyBuckets,
      registers,
    })
    this.#queries = new Counter({
      name: `${prefix}_directory_queries_total`,
      help: 'Queries of the resolver to the port directory, which may answer them from a copy of its own.',
      labelNames: ['query', 'freshness'],
      registers,
    })
    this.#cache = new Counter({
      name: `${prefix}_cache_lookups_total`,
      help: 'Lookups of identities, by whether the cache held an answer.',
      labelNames: ['outcome'],
      registers,
    })
    this.#fenced = new Counter({
      name: `${prefix}_stale_answers_fenced_total`,
      help: 'Remembered answers that would have named another instance and were not used.',
      registers,
    })
    this.#age = new Histogram({
      name: `${prefix}_mapping_age_seconds`,
      help: 'Age of the identity that a request was served with.',
      buckets: ageBuckets,
      registers,
    })
    this.#upstreamSeconds = new Histogram({
      name: `${prefix}_upstream_seconds`,
      help: 'Seconds of one attempt at a compute upstream, by its place in the configuration and how it ended.',
      labelNames: ['upstream', 'outcome'],
      buckets: latencyBuckets,
      registers,
    })
    this.#defects = new Counter({
      name: `${prefix}_defects_total`,
      help: 'Uncaught exceptions, after which the agent stops in order, to be started again, and those that ended one connection to compute.',
      registers,
    })
    this.#fenced.inc(0)
    this.#defects.inc(0)
    for (const outcome of ['served', 'refused', 'crowded'] as const) {
      this.#scopeWaits.inc({ outcome }, 0)
    }
    for (const why of ['most_held', 'stalled'] as const) this.#unreadCutOff.inc({ why }, 0)
  }

  /** Adds the gauges, which read the parts when they are read. */
  watch(parts: MeasuredParts): void {
    const registers = [this.#registry]
    const gauge = <Label extends string>(
      name: string,
      help: string,
      labelNames: readonly Label[],
      collect: (gauge: Gauge<Label>) => void,
    ): void => {
      const made: Gauge<Label> = new Gauge<Label>({
        name: `${prefix}_${name}`,
        help,
        labelNames,
        registers,
        collect: () => collect(made),
      })
    }
    gauge('cache_entries', 'Identities and refusals in the cache.', ['kind'], (made) => {
      const { found, refused } = parts.resolver.cacheSize
      made.set({ kind: 'found' }, found)
      made.set({ kind: 'refused' }, refused)
    })
    gauge('open_queries', 'Lookup keys that the port directory is being queried for.', [], (made) =>
      made.set(parts.resolver.openQueries),
    )
    gauge('directory_ready', '1 when the port directory is ready.', [], (made) =>
      made.set(parts.directory.readiness().ready ? 1 : 0),
    )
    const perUpstream = (
      name: string,
      help: string,
      value: (upstream: MeasuredParts['upstreams']['all'][number]) => number,
    ): void =>
      gauge(name, help, ['upstream'], (made) => {
        for (const one of parts.upstreams.all) made.set({ upstream: one.index }, value(one))
      })
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
    const made = new Gauge({
      name: `${prefix}_certificate_end_seconds`,
      help: 'When the certificate of a listener ends, in seconds since 1970.',
      labelNames: ['listener'],
      registers: [],
      collect() {
        this.reset()
        for (const { address, certificate } of listeners) {
          this.set({ listener: address }, certificate.expiresAt / milliseconds)
        }
      },
    })
    this.#registry.registerMetric(made)
  }

  /** Adds how the fence around the workers of this host stands. */
  watchFence(fence: { readonly status: FenceStatus }): void {
    const gauge = (name: string, help: string, value: (status: FenceStatus) => number): void => {
      const made = new Gauge({
        name: `${prefix}_${name}`,
        help,
        registers: [],
        collect() {
          this.set(value(fence.status))
        },
      })
      this.#registry.registerMetric(made)
    }
    gauge(
      'fence_closed',
      '1 while workers of this host get answers for the scopes alone that their supervisor reports.',
      ({ state }) => (state === 'open' ? 0 : 1),
    )
    gauge('served_scopes', 'Scopes that supervisors of this host report.', ({ scopes }) => scopes)
    gauge(
      'reporting_supervisors',
      'Connected supervisors that have reported their scopes.',
      ({ supervisors }) => supervisors,
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
