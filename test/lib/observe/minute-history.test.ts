import t from 'tap'
import { Counter, createRegistry, Histogram } from '../../../lib/observe/metrics.ts'
import { MinuteHistory } from '../../../lib/observe/minute-history.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function measured() {
  const clock = new FakeClock()
  const registry = createRegistry()
  const registers = [registry]
  const requests = new Counter({
    name: 'requests_total',
    help: '.',
    labelNames: ['status', 'reason'],
    registers,
  })
  const seconds = new Histogram({
    name: 'request_seconds',
    help: '.',
    buckets: [0.001, 0.01, 1],
    registers,
  })
  const history = new MinuteHistory({
    clock,
    registry: () => registry,
    counter: 'requests_total',
    histogram: 'request_seconds',
  })
  return { clock, requests, seconds, history }
}

t.test('a minute has what came in it, by class of status, and how long that took', async (t) => {
  const { clock, requests, seconds, history } = measured()
  history.start()
  requests.inc({ status: '2xx', reason: 'none' }, 3)
  requests.inc({ status: '4xx', reason: 'no_port' })
  requests.inc({ status: '4xx', reason: 'ambiguous_port' })
  for (const span of [0.0005, 0.0005, 0.005, 0.005, 7]) seconds.observe(span)
  await clock.advance(60_000)
  requests.inc({ status: '2xx', reason: 'none' })
  seconds.observe(0.5)
  await clock.advance(60_000)
  await clock.advance(60_000)
  t.strictSame(history.minutes, [
    { at: '2026-01-01T00:01:00.000Z', answers: { '2xx': 3, '4xx': 2 }, median: 10, p99: 1_000 },
    { at: '2026-01-01T00:02:00.000Z', answers: { '2xx': 1 }, median: 1_000, p99: 1_000 },
    { at: '2026-01-01T00:03:00.000Z', answers: {} },
  ])
})

t.test('counters that fall, as when a worker is gone, take no request back', async (t) => {
  const { clock, requests, history } = measured()
  history.start()
  requests.inc({ status: '2xx' }, 5)
  await clock.advance(60_000)
  requests.reset()
  requests.inc({ status: '2xx' }, 2)
  await clock.advance(60_000)
  t.strictSame(
    history.minutes.map(({ answers }) => answers),
    [{ '2xx': 5 }, {}],
  )
})

t.test('an hour is kept, the oldest minute first, and nothing after the end', async (t) => {
  const { clock, history } = measured()
  history.start()
  await clock.advance(70 * 60_000)
  t.equal(history.minutes.length, 60)
  t.equal(history.minutes[0]?.at, '2026-01-01T00:11:00.000Z')
  history.close()
  t.equal(clock.waiting, 0)
})
