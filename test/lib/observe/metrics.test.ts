import t from 'tap'
import { register } from 'prom-client'
import {
  Counter,
  createRegistry,
  latencyBuckets,
  metricNamespace,
} from '../../../lib/observe/metrics.ts'

t.test('createRegistry() gives a registry of its own', async (t) => {
  const [one, two] = [createRegistry(), createRegistry()]
  const counter = new Counter({
    name: `${metricNamespace}_test_things_total`,
    help: 'Things.',
    registers: [one],
  })
  counter.inc(3)
  t.match(await one.metrics(), 'overlapd_test_things_total 3')
  t.equal((await two.metrics()).trim(), '')
  t.equal((await register.metrics()).trim(), '', 'the global registry stays empty')
})

t.test('latencyBuckets rise', async (t) => {
  t.strictSame(
    [...latencyBuckets].toSorted((a, b) => a - b),
    latencyBuckets,
  )
  t.equal(new Set(latencyBuckets).size, latencyBuckets.length)
})
