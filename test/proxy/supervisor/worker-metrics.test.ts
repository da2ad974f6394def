import t from 'tap'
import { Counter, Gauge, Registry } from '../../../lib/observe/metrics.ts'
import type { MetricJson } from '../../../proxy/worker/shared/metric-json.ts'
import { WorkerMetricsSum } from '../../../proxy/supervisor/worker-metrics.ts'

async function reported(requests: number, open: number): Promise<readonly MetricJson[]> {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'requests_total', help: 'x', registers }).inc(requests)
  new Gauge({ name: 'open', help: 'x', registers, aggregator: 'sum' }).set(open)
  const json: unknown = await registry.getMetricsAsJSON()
  return json as readonly MetricJson[]
}

t.test(
  'WorkerMetricsSum keeps what departed workers counted, and drops how they were',
  async (t) => {
    const sum = new WorkerMetricsSum()
    sum.record(1, await reported(10, 3))
    sum.record(2, await reported(5, 4))
    t.match(await sum.sum().metrics(), /requests_total 15\n[^]*open 7\n/)

    await Promise.all([sum.depart(1), sum.depart(2)])
    t.match(await sum.sum().metrics(), 'requests_total 15')
    t.notMatch(await sum.sum().metrics(), 'open 7')

    sum.record(3, await reported(1, 1))
    t.match(await sum.sum().metrics(), /requests_total 16\n[^]*open 1\n/)
  },
)
