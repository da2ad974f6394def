import t from 'tap'
import { ProxyHealth } from '../../../proxy/admin/proxy-health.ts'
import type { WorkerState } from '../../../proxy/supervisor/worker-process.ts'
import { FakeClock } from '../../support/fake-clock.ts'

interface Worker {
  state: WorkerState
  restarts: number
}

/** The health of a proxy that serves no namespace yet, with these workers, all started now. */
function healthOf(workers: readonly Worker[]) {
  const clock = new FakeClock()
  const since = new Date(clock.wallTime()).toISOString()
  const health = new ProxyHealth({
    listeners: { troubled: () => ({ all: 0, troubled: [] }), count: () => undefined },
    interception: { troubled: () => [], count: () => 0 },
    canary: undefined,
    ovnProvision: undefined,
    pool: {
      status: () => workers.map((worker) => ({ pid: 1, since, agents: [], ...worker })),
      record: { servedAt: undefined, recentDeaths: 0 },
    },
    agents: () => [],
    refused: () => [],
    unmounted: () => [],
    hasLooked: () => true,
    missingCapabilities: [],
    certificateEnds: () => undefined,
    wallTime: () => clock.wallTime(),
  })
  const part = () => health.parts().find(({ name }) => name === 'workers')
  return { clock, part }
}

t.test('a worker that is slow at the first start is missing after a minute', async (t) => {
  const workers: Worker[] = [
    { state: 'ready', restarts: 0 },
    { state: 'starting', restarts: 0 },
  ]
  const { clock, part } = healthOf(workers)
  await clock.advance(59_000)
  t.match(part(), { detail: '1 of 2 ready, 1 starting', problems: { length: 0 } })
  await clock.advance(1_000)
  t.match(part(), {
    detail: '1 of 2 ready',
    problems: [{ code: 'worker_missing', state: 'degraded', howMany: 1, of: 2 }],
  })
  workers[1]!.state = 'ready'
  t.match(part(), { detail: '2 of 2 ready', problems: { length: 0 } })
})

t.test('a worker that is replaced, or whose process cannot be started, is missing', async (t) => {
  const replaced = healthOf([
    { state: 'ready', restarts: 0 },
    { state: 'starting', restarts: 1 },
  ])
  t.match(replaced.part()?.problems, [{ code: 'worker_missing' }])
  const unstarted = healthOf([
    { state: 'ready', restarts: 0 },
    { state: 'gone', restarts: 0 },
  ])
  t.match(unstarted.part()?.problems, [{ code: 'worker_missing' }])
})

t.test('no guest can be served before the first worker is ready', async (t) => {
  const { clock, part } = healthOf([{ state: 'starting', restarts: 0 }])
  t.match(part()?.problems, [{ code: 'starting', state: 'not_ready' }])
  t.equal(part()?.problems.length, 1)
  await clock.advance(60_000)
  t.match(part()?.problems, [{ code: 'no_worker', state: 'not_ready' }])
  t.equal(part()?.problems.length, 1)
})
