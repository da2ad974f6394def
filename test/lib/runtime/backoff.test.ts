import t from 'tap'
import { Backoff, jittered } from '../../../lib/runtime/backoff.ts'

t.test('Backoff doubles up to the longest pause', async (t) => {
  const backoff = new Backoff(100, 400, () => 0.5)
  t.strictSame(
    [backoff.next(), backoff.next(), backoff.next(), backoff.next()],
    [75, 150, 300, 300],
  )
  t.equal(backoff.isLongest, true)
  backoff.reset()
  t.equal(backoff.isLongest, false)
  t.strictSame([backoff.same(), backoff.nominal, backoff.same()], [75, 100, 75])
})

t.test('Backoff draws each pause between the least share and all of its length', async (t) => {
  t.equal(new Backoff(100, 400, () => 0).next(), 50)
  t.equal(new Backoff(100, 400, () => 1).next(), 100)
  t.equal(new Backoff(100, 400, () => 0, 0).next(), 0)
})

t.test('jittered() stays within a tenth', async (t) => {
  t.equal(
    jittered(100, () => 0),
    90,
  )
  t.equal(
    jittered(100, () => 0.5),
    100,
  )
})
