/** Every metric that either daemon can export, from the registries they use. */
import { LimitMetrics } from '../../agent-side/admin/limit-metrics.ts'
import { AgentMetrics } from '../../agent-side/admin/metrics.ts'
import { NeutronRestMetrics } from '../../agent-side/ports/neutron-rest/metrics.ts'
import { NeutronRpcMetrics } from '../../agent-side/ports/neutron-rpc/metrics.ts'
import { OvnMetrics } from '../../agent-side/ports/ovn/metrics.ts'
import { ShieldMetrics } from '../../agent-side/shield/metrics.ts'
import { StaticMetrics } from '../../agent-side/ports/static/metrics.ts'
import type { Daemon } from '../../lib/config/defaults.ts'
import { measureFeed } from '../../lib/http/feed-metrics.ts'
import { AggregatorRegistry, createRegistry, type Registry } from '../../lib/observe/metrics.ts'
import { watchEventLoop, watchProcess } from '../../lib/observe/process-metrics.ts'
import { watchHealth } from '../../lib/operator/health-metrics.ts'
import { createProxyMetrics } from '../../proxy/admin/metrics.ts'
import { WorkerMetrics } from '../../proxy/worker/shared/metrics.ts'
import { FakeClock } from './fake-clock.ts'

/** A metric, whoever exports it. */
export interface Exported {
  readonly type: string
  readonly labels: ReadonlySet<string>
  readonly help: string
}

const directories = [StaticMetrics, OvnMetrics, NeutronRpcMetrics, NeutronRestMetrics]

function agentRegistry(): Registry {
  const registry = createRegistry()
  const metrics = new AgentMetrics(registry)
  metrics.watch({
    resolver: { cacheSize: { found: 0, refused: 0 }, openQueries: 0 },
    upstreams: { all: [] },
    directory: { readiness: () => ({ ready: true }) },
  })
  metrics.watchCertificates([])
  metrics.watchFence({
    status: { state: 'open', scopes: 0, supervisors: 0, areWorkersApart: true, waiting: 0 },
  })
  new LimitMetrics(registry).watch({
    limit: { value: 1 },
    gate: { running: 0, waiting: 0 },
    turns: { waiting: 0 },
    rateLimits: { size: 0 },
  })
  new ShieldMetrics(registry).watch({ rules: () => 0, windows: () => 0 })
  watchEveryDaemon(registry, 'agent')
  return registry
}

function watchEveryDaemon(registry: Registry, daemon: Daemon): void {
  const clock = new FakeClock()
  watchProcess(registry, daemon, clock)
  watchEventLoop(registry, daemon, clock)
  watchHealth(registry, daemon, () => {
    return { state: 'ready', ready: true, parts: [], problems: [], served: {} }
  })
  measureFeed(registry, daemon, { watchers: 0, dropped: 0 })
}

function directoryRegistries(): readonly Registry[] {
  const directory = { readiness: () => ({ ready: true, detail: '' }) }
  const held = (): { ports: number; networks: number } => ({ ports: 0, networks: 0 })
  return directories.map((Metrics) => {
    const registry = createRegistry()
    const own = new Metrics(registry)
    own.watch(directory, held)
    if (own instanceof OvnMetrics) {
      own.watchSkipped(() => [])
      own.watchScopes(() => ({ wanted: 0, missing: 0 }))
    }
    return registry
  })
}

function supervisorRegistry(): Registry {
  const supervisor = createProxyMetrics()
  supervisor.watch({
    countNamespaces: () => undefined,
    countInterceptions: () => 0,
    workerStates: () => [],
    countCanaries: () => undefined,
    refusedNamespaces: () => 0,
    scopesLinks: () => [{ socket: 'a', state: 'accepted', scopes: 1 }],
    certificateEnd: () => 0,
    ovnProvision: { countNetworks: () => undefined, isLive: () => true },
  })
  watchEveryDaemon(supervisor.registry, 'proxy')
  return supervisor.registry
}

/** What one worker counts, with a value for each label. */
function workerMetrics(): ReturnType<WorkerMetrics['toJson']> {
  const worker = new WorkerMetrics()
  worker.countRefusal('no_port')
  worker.countAgentRefusal('no_port')
  worker.countAgentAnswer(0)
  worker.agents = [{ state: 'up' }]
  return worker.toJson()
}

/** By name. */
export function exportedMetrics(): ReadonlyMap<string, Exported> {
  const known = new Map<string, Exported>()
  for (const registry of [agentRegistry(), supervisorRegistry(), ...directoryRegistries()]) {
    for (const metric of registry.getMetricsAsArray()) {
      // prom-client keeps the help and the names of labels where its types do not show them.
      const { labelNames = [], help } = metric as unknown as {
        readonly labelNames?: readonly string[]
        readonly help: string
      }
      const type = metric.constructor.name.toLowerCase()
      known.set(metric.name, { type, labels: new Set(labelNames), help })
    }
  }
  for (const { name, type, values, help } of workerMetrics()) {
    // Buckets have a label that is not of the metric itself.
    const labels = values
      .flatMap(({ labels: own }) => Object.keys(own))
      .filter((each) => each !== 'le')
    known.set(name, { type, labels: new Set(labels), help })
  }
  return known
}

/** What Prometheus gets of each kind of process. */
export async function exportedTexts(): Promise<readonly string[]> {
  const workers = AggregatorRegistry.aggregate([workerMetrics()])
  const registries = [agentRegistry(), supervisorRegistry(), workers, ...directoryRegistries()]
  return Promise.all(registries.map(async (registry) => registry.metrics()))
}
