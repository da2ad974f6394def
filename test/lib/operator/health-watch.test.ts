import t from 'tap'
import { createRegistry } from '../../../lib/observe/metrics.ts'
import { watchHealth } from '../../../lib/operator/health-metrics.ts'
import { HealthWatch } from '../../../lib/operator/health-watch.ts'
import {
  partHealth,
  problemOf,
  reserveProblem,
  someOf,
  worstState,
  type PartHealth,
} from '../../../lib/operator/health.ts'
import { createLogger } from '../../../lib/runtime/log.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const well = partHealth('compute', '2 of 2 endpoints answer')
const away = (howMany: number): PartHealth =>
  partHealth('compute', '', problemOf('no_compute', [howMany, 2], 'http://a: ECONNREFUSED'))

function watched(parts: PartHealth[]) {
  const clock = new FakeClock()
  const lines: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  }
  const logger = createLogger({ component: 'agent', level: 'info', destination })
  const watch = new HealthWatch({ parts: () => parts, served: () => ({}), clock, logger })
  return { clock, lines, watch }
}

t.test('a daemon is as bad as its worst part: ready, degraded, not ready', async (t) => {
  t.equal(worstState([]), 'ready')
  t.equal(worstState(['ready', 'not_ready', 'degraded']), 'not_ready')
  t.equal(watched([well]).watch.report().state, 'ready')
  t.match(watched([well, away(1)]).watch.report(), {
    state: 'degraded',
    ready: true,
    parts: [{ state: 'ready' }, { state: 'degraded', ready: true }],
    problems: [{ part: 'compute', code: 'no_compute', howMany: 1, of: 2, effect: /503/ }],
  })
  t.match(watched([away(2)]).watch.report(), { state: 'not_ready', ready: false })
  const own = partHealth('x', '', problemOf('no_agent', [1, 1], 'y', 'Do z.'))
  t.match(watched([own]).watch.report().problems, [{ remedy: 'Do z.' }])
})

t.test('no number is no problem, and a reserve that is gone makes nothing not ready', async (t) => {
  t.equal(problemOf('no_compute', [0, 2], ''), undefined)
  t.equal(reserveProblem('compute_slow', [0, 2], ''), undefined)
  t.equal(reserveProblem('compute_slow', [2, 2], '')?.state, 'degraded')
  t.equal(someOf(['a', 'b', 'c', 'd', 'e']), 'a; b; c; and 2 more')
})

t.test('a problem keeps the time when it was noticed first, until it is over', async (t) => {
  const parts = [away(1)]
  const { clock, watch } = watched(parts)
  const [first] = watch.report().problems
  await clock.advance(5_000)
  t.equal(watch.report().problems[0]?.since, first?.since)
  parts[0] = well
  t.strictSame(watch.report().problems, [])
  parts[0] = away(2)
  t.equal(watch.report().problems[0]?.since, new Date(clock.wallTime()).toISOString())
})

t.test('a change of health is logged once, and a start that goes well is not', async (t) => {
  const parts = [partHealth('namespaces', '', problemOf('starting', [1, 1], 'not looked yet'))]
  const { clock, lines, watch } = watched(parts)
  watch.start()
  await clock.advance(3_000)
  parts[0] = well
  await clock.advance(3_000)
  t.strictSame(lines, [])
  parts[0] = away(1)
  await clock.advance(10_000)
  parts[0] = well
  await clock.advance(10_000)
  watch.close()
  t.match(lines, [
    { level: 'warn', state: 'degraded', problems: [{ code: 'no_compute', howMany: 1, of: 2 }] },
    { level: 'info', state: 'ready' },
  ])
  t.equal(lines.length, 2)
  t.equal(clock.waiting, 0)
})

t.test('watchHealth() gives the state and the problems by code', async (t) => {
  const registry = createRegistry()
  const { watch } = watched([away(1)])
  watchHealth(registry, 'agent', () => watch.report())
  const text = await registry.metrics()
  t.match(text, 'overlapd_health_state{daemon="agent",state="degraded"} 1')
  t.match(text, 'overlapd_health_state{daemon="agent",state="ready"} 0')
  t.match(text, 'overlapd_health_problems{daemon="agent",code="no_compute"} 1')
})
