import t, { type Test } from 'tap'
import { Heartbeat } from '../../../proxy/supervisor/heartbeat.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function start(t: Test) {
  const clock = new FakeClock()
  const pings: number[] = []
  const seen = { silent: 0 }
  const heartbeat = new Heartbeat({
    clock,
    ping: (id) => pings.push(id),
    onSilent: () => (seen.silent += 1),
  })
  t.teardown(() => heartbeat.stop())
  heartbeat.start()
  return { clock, pings, seen, heartbeat }
}

t.test('one that answers is queried once a second, for ever', async (t) => {
  const { clock, pings, seen, heartbeat } = start(t)
  for (let round = 0; round < 100; round += 1) {
    await clock.advance(1_000)
    heartbeat.answered(pings.at(-1)!)
  }
  t.equal(pings.length, 100)
  t.equal(seen.silent, 0)
})

t.test('one that leaves five questions unanswered is silent, reported once', async (t) => {
  const { clock, pings, seen } = start(t)
  await clock.advance(5_999)
  t.equal(pings.length, 5)
  t.equal(seen.silent, 0)
  await clock.advance(1)
  t.equal(seen.silent, 1)
  await clock.advance(60_000)
  t.equal(seen.silent, 1)
  t.equal(pings.length, 5)
})

t.test('only the answer to the latest question counts', async (t) => {
  const { clock, pings, seen, heartbeat } = start(t)
  await clock.advance(4_000)
  heartbeat.answered(pings.at(-1)!)
  await clock.advance(5_000)
  // Late, forged, or of another.
  heartbeat.answered(pings[3]!)
  heartbeat.answered(pings.at(-1)! + 1)
  t.equal(seen.silent, 0)
  await clock.advance(1_000)
  t.equal(seen.silent, 1)
})

t.test('time that passes without a question counts for nothing', async (t) => {
  const { clock, seen } = start(t)
  await clock.advance(1_000)
  // This process was stopped.
  clock.pass(3_600_000)
  await clock.advance(0)
  t.equal(seen.silent, 0)
})

t.test('one that is stopped queries no more', async (t) => {
  const { clock, pings, seen, heartbeat } = start(t)
  await clock.advance(3_000)
  heartbeat.stop()
  await clock.advance(60_000)
  t.equal(pings.length, 3)
  t.equal(seen.silent, 0)
})
