/** Every metric of the supervisor. What workers count is added to these when they are read. */
import {
  Counter,
  createRegistry,
  Gauge,
  Histogram,
  metricNamespace,
  type Registry,
} from '../../lib/observe/metrics.ts'
import type { CanaryState } from '../canary/canary.ts'
import type { InterceptionState } from '../interception/interception.ts'
import type { NamespaceState } from '../namespaces/listener-status.ts'
import type { NamespaceKind } from '../namespaces/identity.ts'
import type { WorkerState } from '../supervisor/worker-process.ts'
import type { ProvisionState } from '../ovn-provision/provisioner.ts'
import type { ScopesLinkStatus } from '../served-scopes/scopes-link.ts'

/** What the gauges are read from at each scrape. */
export interface ProxyGauges {
  countNamespaces(
    visit: (kind: NamespaceKind, state: NamespaceState, listeners: number) => void,
  ): void
  countInterceptions(state: InterceptionState): number
  workerStates(): readonly WorkerState[]
  countCanaries(visit: (kind: NamespaceKind, state: CanaryState) => void): void
  refusedNamespaces(): number
  scopesLinks(): readonly ScopesLinkStatus[]
  /** When the certificate of this host ends, in seconds since 1970; absent without one. */
  certificateEnd(): number | undefined
  /** Absent where OVN networks are not provisioned. */
  readonly ovnProvision?: OvnProvisionGauges
}

/** What of provisioning is read at each scrape. */
export interface OvnProvisionGauges {
  countNetworks(visit: (state: ProvisionState, count: number) => void): void
  isLive(database: 'southbound' | 'switch'): boolean
}

/** The supervisor's own metrics, and what is counted as it happens. */
export interface ProxyMetrics {
  readonly registry: Registry
  /** Has gauges read off whenever they are read. */
  watch(gauges: ProxyGauges): void
  readonly workerRestarts: Counter
  readonly workerBreaches: Counter
  readonly attachSeconds: Histogram
  readonly reconcileSeconds: Histogram
  readonly interceptionFailures: Counter
  readonly canaryLatency: Histogram
  readonly provisionSeconds: Histogram
  readonly provisionFailures: Counter
  readonly plannerRestarts: Counter
}

const attachBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60]
const canaryBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5]
const reconcileBuckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]
const interceptionStates: readonly InterceptionState[] = ['applying', 'applied', 'failed']

const named = (rest: string): string => `${metricNamespace}_proxy_${rest}`

/** Registers the supervisor's metrics. */
export function createProxyMetrics(): ProxyMetrics {
  const registry = createRegistry()
  const registers = [registry]
  return {
    registry,
    watch(gauges) {
      for (const gauge of gaugesOf(gauges)) registry.registerMetric(gauge)
    },
    workerRestarts: new Counter({
      name: named('worker_restarts_total'),
      help: 'Workers that died and were replaced.',
      registers,
    }),
    workerBreaches: new Counter({
      name: named('worker_breaches_total'),
      help: 'Processes that the supervisor killed: workers by what they did on its channel, or did not (silent, stayed), and what a worker had started (child).',
      labelNames: ['breach'],
      registers,
    }),
    attachSeconds: new Histogram({
      name: named('attach_seconds'),
      help: 'From seeing a namespace to a worker accepting in it.',
      buckets: attachBuckets,
      registers,
    }),
    reconcileSeconds: new Histogram({
      name: named('reconcile_seconds'),
      help: 'Comparing the namespaces there are with the listeners that are open.',
      buckets: reconcileBuckets,
      registers,
    }),
    canaryLatency: new Histogram({
      name: named('canary_latency_seconds'),
      help: 'Time to an answer that the canary got, by kind of namespace.',
      labelNames: ['kind'],
      buckets: canaryBuckets,
      registers,
    }),
    provisionSeconds: new Histogram({
      name: named('ovn_provision_seconds'),
      help: 'From the report that an OVN network needs a metadata namespace, or another, to its being there.',
      buckets: attachBuckets,
      registers,
    }),
    provisionFailures: new Counter({
      name: named('ovn_provision_failures_total'),
      help: 'Metadata namespaces of OVN networks that could not be made or removed, each try.',
      registers,
    }),
    plannerRestarts: new Counter({
      name: named('ovn_planner_restarts_total'),
      help: 'Planners of OVN provisioning that died and were replaced.',
      registers,
    }),
    interceptionFailures: new Counter({
      name: named('interception_failures_total'),
      help: 'Namespaces in which the rules for the metadata address could not be loaded, each try.',
      registers,
    }),
  }
}

/** Registered by the caller: a gauge that is made for its effect alone would look like a mistake. */
function gaugesOf(gauges: ProxyGauges): readonly Gauge[] {
  const registers: Registry[] = []
  const { ovnProvision } = gauges
  return [
    ...(ovnProvision === undefined ? [] : ovnGaugesOf(ovnProvision)),
    new Gauge({
      name: named('namespaces'),
      help: 'Namespaces that should be served, by kind and state.',
      labelNames: ['kind', 'state'],
      registers,
      collect() {
        this.reset()
        gauges.countNamespaces((kind, state) => this.inc({ kind, state }))
      },
    }),
    new Gauge({
      name: named('listeners'),
      help: 'Listening sockets held open.',
      registers,
      collect() {
        let open = 0
        gauges.countNamespaces((_kind, _state, listeners) => (open += listeners))
        this.set(open)
      },
    }),
    new Gauge({
      name: named('refused_namespaces'),
      help: 'Namespaces not served because their names contradict each other.',
      registers,
      collect() {
        this.set(gauges.refusedNamespaces())
      },
    }),
    new Gauge({
      name: named('reported_scopes'),
      help: 'Scopes that an agent of this host has accepted as served here; 0 while it receives none.',
      labelNames: ['agent'],
      registers,
      collect() {
        for (const { socket, scopes } of gauges.scopesLinks()) this.set({ agent: socket }, scopes)
      },
    }),
    new Gauge({
      name: named('interceptions'),
      help: 'Namespaces in which the metadata address is to be redirected, by state.',
      labelNames: ['state'],
      registers,
      collect() {
        for (const state of interceptionStates)
          this.set({ state }, gauges.countInterceptions(state))
      },
    }),
    new Gauge({
      name: named('canary_up'),
      help: 'Namespaces that answered the canary, by kind.',
      labelNames: ['kind'],
      registers,
      collect() {
        this.reset()
        gauges.countCanaries((kind, state) => this.inc({ kind }, state === 'up' ? 1 : 0))
      },
    }),
    new Gauge({
      name: named('canary_down'),
      help: 'Namespaces that did not answer the canary twice in a row, by kind.',
      labelNames: ['kind'],
      registers,
      collect() {
        this.reset()
        gauges.countCanaries((kind, state) => this.inc({ kind }, state === 'down' ? 1 : 0))
      },
    }),
    new Gauge({
      name: named('certificate_end_seconds'),
      help: 'When the certificate of this host for agents ends, in seconds since 1970.',
      registers,
      collect() {
        this.reset()
        const end = gauges.certificateEnd()
        if (end === undefined) this.remove()
        else this.set(end)
      },
    }),
    new Gauge({
      name: named('workers'),
      help: 'Workers, by state.',
      labelNames: ['state'],
      registers,
      collect() {
        this.reset()
        for (const state of gauges.workerStates()) this.inc({ state })
      },
    }),
  ]
}

function ovnGaugesOf(provision: OvnProvisionGauges): readonly Gauge[] {
  const registers: Registry[] = []
  return [
    new Gauge({
      name: named('ovn_networks'),
      help: 'OVN networks that need a metadata namespace on this host, by state.',
      labelNames: ['state'],
      registers,
      collect() {
        provision.countNetworks((state, count) => this.set({ state }, count))
      },
    }),
    new Gauge({
      name: named('ovn_connected_databases'),
      help: '1 while a server keeps the copy of the database in step.',
      labelNames: ['database'],
      registers,
      collect() {
        for (const database of ['southbound', 'switch'] as const) {
          this.set({ database }, provision.isLive(database) ? 1 : 0)
        }
      },
    }),
  ]
}
