import t from 'tap'
import { Backoff } from '../../../lib/runtime/backoff.ts'

t.test('Backoff doubles up to the longest pause, with jitter below', async (t) => {
  const backoff = new Backoff(100, 400)
  for (const nominal of [100, 200, 400, 400]) {
    const pause = backoff.next()
    t.ok(pause >= nominal * 0.75 && pause <= nominal, `${pause} of ${nominal}`)
  }
  t.equal(backoff.isLongest, true)
  backoff.reset()
  t.equal(backoff.isLongest, false)
  t.ok(backoff.next() <= 100)
})
