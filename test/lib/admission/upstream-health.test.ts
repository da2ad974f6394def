import t from 'tap'
import { UpstreamHealth } from '../../../lib/admission/upstream-health.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function subject(): { clock: FakeClock; health: UpstreamHealth } {
  const clock = new FakeClock()
  const health = new UpstreamHealth({
    clock,
    failuresToDown: 3,
    firstPause: 1_000,
    longestPause: 4_000,
    random: () => 1,
  })
  return { clock, health }
}

t.test('UpstreamHealth is down at once when it cannot be connected to', async (t) => {
  const { health } = subject()
  t.equal(health.state, 'up')
  t.equal(health.failed('connect'), true)
  t.equal(health.state, 'down')
})

t.test('UpstreamHealth forgives a busy answer or two', async (t) => {
  const { health } = subject()
  t.equal(health.failed('answer'), false)
  t.equal(health.failed('answer'), false)
  t.equal(health.state, 'up')
  health.succeeded()
  t.equal(health.failed('answer'), false, 'only in a row do they count')
  t.equal(health.failed('answer'), false)
  t.equal(health.failed('answer'), true)
  t.equal(health.state, 'down')
})

t.test('UpstreamHealth lets one request at a time see whether it is back', async (t) => {
  const { clock, health } = subject()
  health.failed('connect')
  clock.pass(1_000)
  t.equal(health.state, 'due')
  const end = health.begin()
  t.equal(health.state, 'down', 'for the others')
  end()
  t.equal(health.state, 'due', 'the guest left before it knew')
  health.begin()
  t.equal(health.succeeded(), true)
  t.equal(health.state, 'up')
})

t.test('UpstreamHealth pauses twice as long each time, up to the longest', async (t) => {
  const { clock, health } = subject()
  const pauses: number[] = []
  for (let round = 0; round < 5; round += 1) {
    health.failed('connect')
    pauses.push(health.downUntil - clock.now())
    clock.pass(health.downUntil - clock.now())
  }
  t.strictSame(pauses, [1_000, 2_000, 4_000, 4_000, 4_000])
  health.succeeded()
  health.failed('connect')
  t.equal(health.downUntil - clock.now(), 1_000, 'a success forgets')
})

t.test('UpstreamHealth counts requests that were on their way once', async (t) => {
  const { health } = subject()
  health.failed('connect')
  const { downUntil } = health
  for (let late = 0; late < 100; late += 1) t.equal(health.failed('connect'), false)
  t.equal(health.downUntil, downUntil)
})
