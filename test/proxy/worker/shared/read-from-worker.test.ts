import t from 'tap'
import type { MetricJson } from '../../../../proxy/worker/shared/metric-json.ts'
import { WorkerMetrics } from '../../../../proxy/worker/shared/metrics.ts'
import type { RequestRecord, FromWorker } from '../../../../proxy/worker/shared/protocol.ts'
import { readFromWorker } from '../../../../proxy/worker/shared/read-from-worker.ts'

const record: RequestRecord = {
  requestId: 'req-1',
  at: 1_000,
  method: 'GET',
  target: '/',
  scope: 'router/x',
  sourceIp: '10.0.0.1',
  sourceMac: '',
  instanceId: 'i',
  projectId: 'p',
  upstream: 'http://192.0.2.1:8775',
  answeredBy: 'compute',
  outcome: 'relayed',
  status: 200,
  span: 3.5,
}

const byAgent: RequestRecord = {
  requestId: 'req-2',
  at: 1_000,
  method: 'GET',
  target: '/',
  scope: 'router/x',
  sourceIp: '10.0.0.1',
  answeredBy: 'agent',
  outcome: 'relayed',
  status: 200,
  span: 3.5,
}

function counted(): readonly MetricJson[] {
  const metrics = new WorkerMetrics()
  metrics.countAnswer(200)
  metrics.countRefusal('agent_unreachable')
  metrics.countAgentRefusal('port_without_instance')
  metrics.countAgentAnswer(2)
  metrics.observeAgentLatency(0.02)
  metrics.agents = [{ state: 'up' }, { state: 'down' }]
  return metrics.toJson()
}

t.test('readFromWorker reads whatever a worker reports', async (t) => {
  const messages: readonly FromWorker[] = [
    { kind: 'ready' },
    { kind: 'drained' },
    { kind: 'pong', id: 7, served: 3, forwarding: { way: 'compute' } },
    { kind: 'pong', id: 7, served: 3, forwarding: { way: 'agent', why: 'no_leases' } },
    {
      kind: 'pong',
      id: 7,
      served: 3,
      forwarding: { way: 'agent', why: 'compute_unreached', failure: 'connect ECONNREFUSED' },
    },
    { kind: 'listening', listenerIds: [1, 2] },
    { kind: 'listen-failed', failures: [{ listenerId: 3, cause: 'listen EADDRINUSE' }] },
    { kind: 'metrics', id: 1, metrics: counted() },
    { kind: 'agents', agents: [{ agent: '/a', state: 'up', isAnswering: true }] },
    {
      kind: 'agents',
      agents: [{ agent: '/a', state: 'down', isAnswering: false, lastFailure: 'ENOENT' }],
    },
    { kind: 'canary', canaryId: 1, outcome: { ok: true, latency: 1.5 } },
    { kind: 'canary', canaryId: 1, outcome: { ok: false, why: 'no answer in time' } },
    { kind: 'request-record', id: 1 },
    { kind: 'request-record', id: 1, record },
    { kind: 'request-record', id: 1, record: { ...record, reason: 'agent_unreachable' } },
    { kind: 'request-record', id: 1, record: { ...record, ingressPort: 'other' } },
    { kind: 'request-record', id: 1, record: byAgent },
    { kind: 'recent-requests', id: 1, requests: { last: 0, missed: 0, records: [] } },
    {
      kind: 'recent-requests',
      id: 1,
      requests: { last: 9, missed: 7, records: [record, byAgent] },
    },
  ]
  for (const message of messages) {
    t.strictSame(readFromWorker(JSON.parse(JSON.stringify(message))), message, message.kind)
  }
})

t.test('readFromWorker refuses everything else', async (t) => {
  const metric = (changes: object): unknown => ({
    kind: 'metrics',
    id: 1,
    metrics: [{ ...counted()[0], ...changes }],
  })
  const series = { labels: { status: '2xx' }, value: 1 }
  const others: readonly unknown[] = [
    null,
    5,
    'ready',
    [],
    {},
    { kind: 'toString' },
    { cmd: 'NODE_HANDLE_NACK' },
    { kind: 'listening', listenerIds: 5 },
    { kind: 'listening', listenerIds: [-1] },
    { kind: 'listening', listenerIds: ['1'] },
    { kind: 'listening', listenerIds: [1.5] },
    { kind: 'listening', listenerIds: Array.from({ length: 65_537 }, () => 1) },
    { kind: 'listen-failed', failures: [null] },
    { kind: 'listen-failed', failures: [{ listenerId: 1, cause: 'x'.repeat(1_001) }] },
    { kind: 'pong' },
    { kind: 'pong', id: 7 },
    { kind: 'pong', id: 7, served: 3 },
    { kind: 'pong', id: 7, served: 3, forwarding: { way: 'agent' } },
    { kind: 'pong', id: 7, served: 3, forwarding: { way: 'agent', why: 'mood' } },
    { kind: 'pong', id: 7, served: 3, forwarding: { way: 'around', why: 'no_leases' } },
    { kind: 'agents', agents: 5 },
    { kind: 'agents', agents: [{ agent: '/a', state: 'toString', isAnswering: true }] },
    { kind: 'agents', agents: [{ agent: '/a', state: 'up', isAnswering: 1 }] },
    { kind: 'canary', canaryId: 1, outcome: null },
    { kind: 'canary', canaryId: 1, outcome: { ok: true, latency: -1 } },
    { kind: 'canary', canaryId: 1, outcome: { ok: 1, why: 'x' } },
    { kind: 'request-record', id: 1, record: null },
    { kind: 'request-record', id: 1, record: { at: 'x' } },
    { kind: 'request-record', id: 1, record: { ...record, at: 9e15 } },
    { kind: 'request-record', id: 1, record: { ...record, reason: 'made_up' } },
    { kind: 'request-record', id: 1, record: { ...record, ingressPort: 'qr-1' } },
    { kind: 'request-record', id: 1, record: { ...record, outcome: 'won' } },
    { kind: 'request-record', id: 1, record: { ...record, answeredBy: 'me' } },
    { kind: 'request-record', id: 1, record: { ...record, sourceMac: 5 } },
    { kind: 'request-record', id: 1, record: { ...record, upstream: 'x'.repeat(1_001) } },
    { kind: 'recent-requests', id: 1, requests: null },
    { kind: 'recent-requests', id: 1, requests: { last: -1, missed: 0, records: [] } },
    { kind: 'recent-requests', id: 1, requests: { last: 1, missed: 0, records: [null] } },
    {
      kind: 'recent-requests',
      id: 1,
      requests: { last: 1, missed: 0, records: Array.from({ length: 301 }, () => record) },
    },
    { kind: 'metrics', id: 1, metrics: [null] },
    { kind: 'metrics', id: 1, metrics: [counted()[0], counted()[0]] },
    metric({ name: 'overlapd_proxy_namespaces' }),
    metric({ values: 5 }),
    metric({ values: [null] }),
    metric({ values: [{ ...series, value: '1' }] }),
    metric({ values: [{ ...series, value: -1 }] }),
    metric({ values: [{ ...series, value: 1e300 }] }),
    metric({ values: [{ ...series, labels: { status: '9xx' } }] }),
    metric({ values: [{ ...series, labels: { status: '2xx', more: 'x' } }] }),
    metric({ values: [{ ...series, metricName: 'overlapd_proxy_workers' }] }),
    metric({ values: [series, series] }),
  ]
  for (const other of others) {
    t.equal(readFromWorker(other), undefined, JSON.stringify(other)?.slice(0, 100))
  }
})

t.test('of a metric only the numbers are taken from the worker', async (t) => {
  const forged = { ...counted()[0], help: 'x\nforged 1', type: 'gauge', aggregator: 'first' }
  const read = readFromWorker({ kind: 'metrics', id: 1, metrics: [forged] })
  t.match(read, { metrics: [{ help: counted()[0]?.help, type: 'counter', aggregator: 'sum' }] })
})

t.test('what a worker writes cannot command a terminal', async (t) => {
  const agents = [{ agent: '\u001b[2J', state: 'up', isAnswering: true }]
  t.match(readFromWorker({ kind: 'agents', agents }), { agents: [{ agent: '\\u001b[2J' }] })
})
