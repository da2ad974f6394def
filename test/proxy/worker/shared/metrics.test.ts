import t from 'tap'
import { AggregatorRegistry } from '../../../../lib/observe/metrics.ts'
import { WorkerMetrics } from '../../../../proxy/worker/shared/metrics.ts'

t.test('WorkerMetrics of two workers add up in the form Prometheus reads', async (t) => {
  const workers = [new WorkerMetrics(), new WorkerMetrics()]
  for (const metrics of workers) {
    metrics.countAnswer(200)
    metrics.countAnswer(404)
    metrics.countRefusal('malformed_request')
    metrics.countAgentRefusal('no_port')
    metrics.connectionsOpen = 3
    metrics.forgedHeaders[0] = 5
    metrics.observeAgentLatency(0.003)
    metrics.observeAgentLatency(60)
    metrics.observeLoopLag(0.003)
  }

  const registry = AggregatorRegistry.aggregate(workers.map((metrics) => metrics.toJson()))
  const text = await registry.metrics()

  for (const line of [
    'overlapd_proxy_requests_total{status="2xx"} 2',
    'overlapd_proxy_requests_total{status="4xx"} 2',
    'overlapd_proxy_requests_total{status="5xx"} 0',
    'overlapd_proxy_refusals_total{reason="malformed_request"} 2',
    'overlapd_proxy_agent_refusals_total{reason="no_port"} 2',
    '# TYPE overlapd_proxy_connections_open gauge',
    'overlapd_proxy_connections_open 6',
    'overlapd_proxy_forged_headers_total{header="neutron"} 10',
    '# TYPE overlapd_proxy_agent_duration_seconds histogram',
    'overlapd_proxy_agent_duration_seconds_bucket{le="0.0025"} 0',
    'overlapd_proxy_agent_duration_seconds_bucket{le="0.005"} 2',
    'overlapd_proxy_agent_duration_seconds_bucket{le="30"} 2',
    'overlapd_proxy_agent_duration_seconds_bucket{le="+Inf"} 4',
    'overlapd_proxy_agent_duration_seconds_sum 120.006',
    'overlapd_proxy_agent_duration_seconds_count 4',
    'overlapd_proxy_worker_loop_lag_seconds_bucket{le="0.005"} 2',
    'overlapd_proxy_worker_loop_lag_seconds_sum 0.006',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
})
