import t from 'tap'
import { SlicedQueue } from '../../../lib/runtime/sliced-queue.ts'
import { FakeClock } from '../../support/fake-clock.ts'

t.test('SlicedQueue lets the loop turn when a slice of time is over', async (t) => {
  const clock = new FakeClock()
  const slices: string[] = []
  let seen = ''
  const queue = new SlicedQueue<string>({
    clock,
    visit: (item) => {
      seen += item
      clock.pass(6)
    },
    begin: () => (seen = ''),
    end: () => slices.push(seen),
  })
  for (const item of 'abcde') queue.add(item)
  t.strictSame(slices, [], 'not within the call')
  await queue.idle()
  t.strictSame(slices, ['ab', 'cd', 'e'])
})

t.test(
  'SlicedQueue visits an item once however often it is added, and again afterwards',
  async (t) => {
    const seen: number[] = []
    const queue: SlicedQueue<number> = new SlicedQueue<number>({
      clock: new FakeClock(),
      visit: (item) => {
        seen.push(item)
        if (seen.length === 1) queue.add(item)
      },
    })
    queue.add(1)
    queue.add(1)
    t.ok(queue.due.has(1))
    await queue.idle()
    t.strictSame(seen, [1, 1])
    queue.add(2)
    queue.clear()
    await queue.idle()
    await queue.idle()
    t.strictSame(seen, [1, 1])
  },
)
