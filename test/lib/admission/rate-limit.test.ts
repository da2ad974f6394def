import t from 'tap'
import { RateLimiter, type RateLimits } from '../../../lib/admission/rate-limit.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { SeededRandom } from '../../support/random.ts'

function limits(base: [number, number], burst: [number, number]): RateLimits {
  return { base: { limit: base[0], span: base[1] }, burst: { limit: burst[0], span: burst[1] } }
}

function limiter(clock: FakeClock, given: RateLimits, max = 1_000): RateLimiter {
  return new RateLimiter({ clock, limits: given, max })
}

t.test('RateLimiter lets so many through and refuses the next, as Neutron does', async (t) => {
  const clock = new FakeClock()
  const limited = limiter(clock, limits([3, 10_000], [100, 10_000]))
  t.strictSame(
    [1, 2, 3, 4].map(() => limited.admit('a')),
    [0, 0, 0, 10_000],
  )
  t.equal(limited.admit('b'), 0, 'each key by itself')
  await clock.advance(9_999)
  t.equal(limited.admit('a'), 1)
  await clock.advance(1)
  t.equal(limited.admit('a'), 0)
})

t.test('RateLimiter gives the wait of the stricter window', async (t) => {
  const clock = new FakeClock()
  const limited = limiter(clock, limits([11, 60_000], [2, 1_000]))
  for (let second = 0; second < 5; second += 1) {
    t.strictSame([limited.admit('a'), limited.admit('a'), limited.admit('a')], [0, 0, 1_000])
    await clock.advance(1_000)
  }
  t.strictSame([limited.admit('a'), limited.admit('a')], [0, 55_000], 'now the base window is full')
})

t.test('RateLimiter gives a steady poller its share, however often it is refused', async (t) => {
  const clock = new FakeClock()
  const limited = limiter(clock, limits([3, 10_000], [3, 10_000]))
  let passed = 0
  for (let second = 0; second < 600; second += 1) {
    if (limited.admit('poller') === 0) passed += 1
    await clock.advance(1_000)
  }
  t.equal(passed, 180, '3 of every 10, for ever')
  t.strictSame(limited.offenders(5), [{ key: 'poller', refused: 420 }])
})

t.test('RateLimiter: no window holds more than its limit, and each wait is exact', async (t) => {
  const random = new SeededRandom(1)
  for (let round = 0; round < 200; round += 1) {
    const clock = new FakeClock()
    const given = limits(
      [1 + Math.floor(random.next() * 40), 1 + Math.floor(random.next() * 5_000)],
      [1 + Math.floor(random.next() * 40), 1 + Math.floor(random.next() * 5_000)],
    )
    const limited = limiter(clock, given)
    const passed: number[] = []
    const fits = (at: number): boolean =>
      [given.base, given.burst].every(
        ({ limit, span }) => passed.filter((one) => one > at - span).length < limit,
      )
    for (let step = 0; step < 60; step += 1) {
      const now = clock.now()
      const wait = limited.waitOf('a')
      const isRight = fits(now + wait) && (wait === 0 || !fits(now + wait - 1))
      if (!isRight || limited.admit('a') !== wait) {
        t.fail('a wait is wrong', { round, step, wait, given, passed })
        return
      }
      if (wait === 0) passed.push(now)
      // By whole milliseconds; synchronously, since no timer is involved.
      void clock.advance(Math.floor(random.next() * 400))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  t.pass('in 12,000 steps')
})

t.test('RateLimiter holds a bounded number of keys, whoever invents them', async (t) => {
  const limited = limiter(new FakeClock(), limits([1, 10_000], [1, 10_000]), 100)
  t.equal(limited.admit('known'), 0)
  for (let key = 0; key < 5_000; key += 1) {
    limited.admit(`spoofed ${key}`)
    if (key % 40 === 0) t.equal(limited.admit('known'), 10_000)
  }
  t.ok(limited.size <= 100)
})

t.test('RateLimiter takes other limits while it runs', async (t) => {
  const clock = new FakeClock()
  const limited = limiter(clock, limits([2, 10_000], [2, 10_000]))
  t.strictSame([limited.admit('a'), limited.admit('a'), limited.admit('a')], [0, 0, 10_000])
  limited.reconfigure(limits([30, 10_000], [30, 10_000]))
  const more = Array.from({ length: 30 }, () => limited.admit('a'))
  t.equal(more.filter((wait) => wait === 0).length, 28, 'the two before still count')
  limited.reconfigure(limits([1, 10_000], [1, 10_000]))
  t.equal(limited.admit('a'), 10_000)
  await clock.advance(10_000)
  t.strictSame([limited.admit('a'), limited.admit('a')], [0, 10_000])
})

t.test('RateLimiter.count() counts what passed elsewhere', async (t) => {
  const limited = limiter(new FakeClock(), limits([1, 5_000], [9, 1_000]))
  t.equal(limited.waitOf('a'), 0)
  limited.count('a')
  t.equal(limited.waitOf('a'), 5_000)
})
