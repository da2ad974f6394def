import t from 'tap'
import { systemClock } from '../../../lib/runtime/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'

// The clock's own timers keep no process alive, so this file has to.
const alive = setInterval(() => undefined, 60_000)
t.teardown(() => clearInterval(alive))

t.test('systemClock.now() does not go back and wallTime() is the time of day', async (t) => {
  const first = systemClock.now()
  t.ok(systemClock.now() >= first)
  t.ok(Math.abs(systemClock.wallTime() - Date.now()) < 60_000)
})

t.test('systemClock.sleep() rejects when it is aborted', async (t) => {
  await t.rejects(systemClock.sleep(3_600_000, AbortSignal.abort()), { name: 'AbortError' })
  const control = new AbortController()
  const sleeping = systemClock.sleep(3_600_000, control.signal)
  control.abort()
  await t.rejects(sleeping, { name: 'AbortError' })
  await systemClock.sleep(0)
})

t.test('systemClock.schedule() runs its callback once, unless cancelled', async (t) => {
  // Scheduled timers do not keep a process alive, so something else must while this one waits.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))
  const cancel = systemClock.schedule(0, () => t.fail('it was cancelled'))
  cancel()
  cancel()
  await new Promise<void>((resolve) => systemClock.schedule(1, resolve))
})

t.test('FakeClock fires what falls due, in order, and lets loops sleep again', async (t) => {
  const clock = new FakeClock(0)
  const seen: string[] = []
  const loop = async (): Promise<void> => {
    for (let turn = 0; turn < 3; turn += 1) {
      await clock.sleep(10)
      seen.push(`loop ${clock.now()}`)
    }
  }
  const looping = loop()
  clock.schedule(15, () => seen.push(`once ${clock.now()}`))
  clock.schedule(15, () => seen.push('cancelled'))()
  await clock.advance(9)
  t.strictSame(seen, [])
  await clock.advance(21)
  t.strictSame(seen, ['loop 10', 'once 15', 'loop 20', 'loop 30'])
  await looping
  t.equal(clock.now(), 30)
  t.equal(clock.waiting, 0)
})

t.test(
  'FakeClock.sleep() rejects with the reason of its signal and forgets the timer',
  async (t) => {
    const clock = new FakeClock()
    const control = new AbortController()
    const sleeping = clock.sleep(5, control.signal)
    t.strictSame(clock.pending, [5])
    control.abort(new Error('enough'))
    await t.rejects(sleeping, { message: 'enough' })
    t.equal(clock.waiting, 0)
    await t.rejects(clock.sleep(5, AbortSignal.abort(new Error('before'))), { message: 'before' })
  },
)

t.test('FakeClock.jumpWallTime() moves only the time of day', async (t) => {
  const clock = new FakeClock(100, 1_000_000)
  clock.jumpWallTime(-500_000)
  t.strictSame([clock.now(), clock.wallTime()], [100, 500_000])
  await clock.advance(10)
  t.strictSame([clock.now(), clock.wallTime()], [110, 500_010])
})
