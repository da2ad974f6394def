import t from 'tap'
import { RingBuffer } from '../../../lib/observe/ring-buffer.ts'

t.test('RingBuffer keeps the newest, and finds the newest of several', async (t) => {
  const latest = new RingBuffer<{ readonly name: string; readonly number: number }>(3)
  t.strictSame(latest.newest(5), [])
  for (const [number, name] of ['a', 'b', 'a', 'c'].entries()) latest.add({ name, number })

  t.strictSame(
    latest.newest(5).map(({ number }) => number),
    [3, 2, 1],
  )
  t.strictSame(latest.newest(1), [{ name: 'c', number: 3 }])
  t.equal(latest.find(({ name }) => name === 'a')?.number, 2)
  latest.add({ name: 'd', number: 4 })
  latest.add({ name: 'e', number: 5 })
  t.equal(
    latest.find(({ name }) => name === 'a'),
    undefined,
  )
})
