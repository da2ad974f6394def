import t from 'tap'
import { AdaptiveLimit } from '../../../lib/admission/adaptive-limit.ts'
import { FakeClock } from '../../support/fake-clock.ts'

interface Service {
  readonly clock: FakeClock
  readonly limit: AdaptiveLimit
  /** So many seconds of answers that take so long, with somebody waiting or not. */
  readonly answer: (
    seconds: number,
    span: (kind: number) => number,
    isWanted?: boolean,
  ) => Promise<void>
}

function service(start: number, min = 4, max = 64): Service {
  const clock = new FakeClock()
  const limit = new AdaptiveLimit({ clock, min, max, start })
  return {
    clock,
    limit,
    async answer(seconds, span, isWanted = true) {
      for (let second = 0; second < seconds; second += 1) {
        if (isWanted) limit.wanted()
        for (let answer = 0; answer < 20; answer += 1) {
          const kind = answer % 2
          limit.answered(`kind ${kind}`, span(kind))
          await clock.advance(50)
        }
      }
    },
  }
}

/** One kind is forty times as slow as the other, which says nothing about load. */
const usual = (kind: number): number => (kind === 0 ? 5 : 200)

t.test(
  'AdaptiveLimit grows to its bound while more are wanted and answers are quick',
  async (t) => {
    const { limit, answer } = service(8)
    await answer(3, usual)
    t.ok(limit.value > 8)
    await answer(60, usual)
    t.equal(limit.value, 64)
  },
)

t.test('AdaptiveLimit stays where it is while it is not reached', async (t) => {
  const { limit, answer } = service(8)
  await answer(60, usual, false)
  t.equal(limit.value, 8)
  await answer(10, (kind) => 5 * usual(kind), false)
  t.equal(limit.value, 8)
})

t.test('AdaptiveLimit shrinks when answers become slow, and comes back', async (t) => {
  const { limit, answer } = service(64)
  await answer(20, usual)
  await answer(8, (kind) => 5 * usual(kind))
  t.ok(limit.value < 45, `${limit.value} after eight slow seconds`)
  t.ok(limit.value >= 4)
  await answer(60, usual)
  t.equal(limit.value, 64)
})

t.test('AdaptiveLimit is cut once for all requests that were refused together', async (t) => {
  const { clock, limit } = service(40)
  const began = clock.now()
  await clock.advance(100)
  for (let refusal = 0; refusal < 40; refusal += 1) limit.overloaded(began)
  t.equal(limit.value, 28)
  await clock.advance(10)
  limit.overloaded(clock.now())
  t.equal(limit.value, 19)
})

t.test('AdaptiveLimit never leaves its bounds', async (t) => {
  const { clock, limit, answer } = service(5)
  for (let refusal = 0; refusal < 50; refusal += 1) {
    limit.overloaded(clock.now())
    await clock.advance(1)
  }
  t.equal(limit.value, 4)
  await answer(200, usual)
  t.equal(limit.value, 64)
  for (const [min, start, max] of [
    [0, 1, 2],
    [2, 1, 3],
    [1, 4, 3],
  ] as const) {
    t.throws(() => new AdaptiveLimit({ clock, min, start, max }), RangeError)
  }
})
