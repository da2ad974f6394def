import t from 'tap'
import { Counter, Gauge, Registry } from '../../../lib/metrics.ts'
import { WorkerMetricsSum } from '../../../proxy/opener/worker-metrics.ts'

async function said(requests: number, open: number): Promise<unknown> {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'requests_total', help: 'x', registers }).inc(requests)
  new Gauge({ name: 'open', help: 'x', registers, aggregator: 'sum' }).set(open)
  return registry.getMetricsAsJSON()
}

t.test(
  'WorkerMetricsSum keeps what departed workers counted, and drops how they were',
  async (t) => {
    const sum = new WorkerMetricsSum()
    sum.record(1, await said(10, 3))
    sum.record(2, await said(5, 4))
    t.match(await sum.sum().metrics(), /requests_total 15\n[^]*open 7\n/)

    await Promise.all([sum.depart(1), sum.depart(2)])
    t.match(await sum.sum().metrics(), 'requests_total 15')
    t.notMatch(await sum.sum().metrics(), 'open 7')

    sum.record(3, await said(1, 1))
    t.match(await sum.sum().metrics(), /requests_total 16\n[^]*open 1\n/)
  },
)

t.test('WorkerMetricsSum ignores what is no list of metrics', async (t) => {
  const sum = new WorkerMetricsSum()
  sum.record(1, { requests_total: 5 })
  await sum.depart(1)
  t.equal((await sum.sum().metrics()).trim(), '')
})
