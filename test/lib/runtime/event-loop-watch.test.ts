import t from 'tap'
import { EventLoopWatch } from '../../../lib/runtime/event-loop-watch.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test('EventLoopWatch measures once a second, until it is closed', async (t) => {
  const clock = new FakeClock()
  const lags: number[] = []
  const watch = new EventLoopWatch(clock, (lag) => lags.push(lag))
  watch.start()
  t.strictSame(clock.pending, [1_000])
  await clock.advance(3_000)
  t.strictSame(lags, [0, 0, 0])
  watch.close()
  t.equal(clock.waiting, 0)
})

t.test('EventLoopWatch reports by how much a callback came too late', async (t) => {
  let now = 0
  const due: (() => void)[] = []
  const late = {
    now: () => now,
    wallTime: () => 0,
    sleep: async () => undefined,
    schedule: (_span: number, callback: () => void) => {
      due.push(callback)
      return () => undefined
    },
  }
  const lags: number[] = []
  new EventLoopWatch(late, (lag) => lags.push(lag)).start()
  now = 1_250
  due.shift()?.()
  now = 2_251
  due.shift()?.()
  t.strictSame(lags, [250, 1])
})
