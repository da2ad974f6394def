/** Every metric of the supervisor. What workers count is added to these when they are read. */
import {
  createRegistry,
  MetricArea,
  type Counter,
  type Histogram,
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

/** Registers the supervisor's metrics. */
export function createProxyMetrics(): ProxyMetrics {
  const registry = createRegistry()
  const area = new MetricArea(registry, 'proxy')
  return {
    registry,
    watch: (parts) => watchParts(area, parts),
    workerRestarts: area.counter('worker_restarts_total', 'Workers that died and were replaced.'),
    workerBreaches: area.counter(
      'worker_breaches_total',
      'Processes that the supervisor killed: workers by what they did on its channel, or did not (silent, stayed), and what a worker had started (child).',
      ['breach'],
    ),
    attachSeconds: area.histogram(
      'attach_seconds',
      'From seeing a namespace to a worker accepting in it.',
      [],
      attachBuckets,
    ),
    reconcileSeconds: area.histogram(
      'reconcile_seconds',
      'Comparing the namespaces there are with the listeners that are open.',
      [],
      reconcileBuckets,
    ),
    canaryLatency: area.histogram(
      'canary_latency_seconds',
      'Time to an answer that the canary got, by kind of namespace.',
      ['kind'],
      canaryBuckets,
    ),
    provisionSeconds: area.histogram(
      'ovn_provision_seconds',
      'From the report that an OVN network needs a metadata namespace, or another, to its being there.',
      [],
      attachBuckets,
    ),
    provisionFailures: area.counter(
      'ovn_provision_failures_total',
      'Metadata namespaces of OVN networks that could not be made or removed, each try.',
    ),
    plannerRestarts: area.counter(
      'ovn_planner_restarts_total',
      'Planners of OVN provisioning that died and were replaced.',
    ),
    interceptionFailures: area.counter(
      'interception_failures_total',
      'Namespaces in which the rules for the metadata address could not be loaded, each try.',
    ),
  }
}

function watchParts(area: MetricArea, parts: ProxyGauges): void {
  area.gauge(
    'namespaces',
    'Namespaces that should be served, by kind and state.',
    ['kind', 'state'],
    (gauge) => {
      gauge.reset()
      parts.countNamespaces((kind, state) => gauge.inc({ kind, state }))
    },
  )
  area.gauge('listeners', 'Listening sockets held open.', [], (gauge) => {
    let open = 0
    parts.countNamespaces((_kind, _state, listeners) => (open += listeners))
    gauge.set(open)
  })
  area.gauge(
    'refused_namespaces',
    'Namespaces not served because their names contradict each other.',
    [],
    (gauge) => gauge.set(parts.refusedNamespaces()),
  )
  area.gauge(
    'reported_scopes',
    'Scopes that an agent of this host has accepted as served here; 0 while it receives none.',
    ['agent'],
    (gauge) => {
      for (const { socket, scopes } of parts.scopesLinks()) gauge.set({ agent: socket }, scopes)
    },
  )
  area.gauge(
    'interceptions',
    'Namespaces in which the metadata address is to be redirected, by state.',
    ['state'],
    (gauge) => {
      for (const state of interceptionStates) gauge.set({ state }, parts.countInterceptions(state))
    },
  )
  const canaries = (name: string, help: string, wanted: CanaryState): void => {
    area.gauge(name, help, ['kind'], (gauge) => {
      gauge.reset()
      parts.countCanaries((kind, state) => gauge.inc({ kind }, state === wanted ? 1 : 0))
    })
  }
  canaries('canary_up', 'Namespaces that answered the canary, by kind.', 'up')
  canaries(
    'canary_down',
    'Namespaces that did not answer the canary twice in a row, by kind.',
    'down',
  )
  area.gauge(
    'certificate_end_seconds',
    'When the certificate of this host for agents ends, in seconds since 1970.',
    [],
    (gauge) => {
      const end = parts.certificateEnd()
      if (end === undefined) gauge.remove()
      else gauge.set(end)
    },
  )
  area.gauge('workers', 'Workers, by state.', ['state'], (gauge) => {
    gauge.reset()
    for (const state of parts.workerStates()) gauge.inc({ state })
  })
  if (parts.ovnProvision !== undefined) watchOvn(area, parts.ovnProvision)
}

function watchOvn(area: MetricArea, provision: OvnProvisionGauges): void {
  area.gauge(
    'ovn_networks',
    'OVN networks that need a metadata namespace on this host, by state.',
    ['state'],
    (gauge) => provision.countNetworks((state, count) => gauge.set({ state }, count)),
  )
  area.gauge(
    'ovn_connected_databases',
    '1 while a server keeps the copy of the database in step.',
    ['database'],
    (gauge) => {
      for (const database of ['southbound', 'switch'] as const) {
        gauge.set({ database }, provision.isLive(database) ? 1 : 0)
      }
    },
  )
}
