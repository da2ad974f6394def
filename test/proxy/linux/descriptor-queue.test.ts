import t from 'tap'
import { DescriptorQueue } from '../../../proxy/linux/descriptor-queue.ts'

t.test('DescriptorQueue keeps the order when some descriptors did not arrive', async (t) => {
  const batches = [
    { count: 2, fds: [10, 11] },
    { count: 3, fds: [12] },
    { count: 1, fds: [13] },
  ]
  const queue = new DescriptorQueue(() => {
    const batch = batches.shift()
    if (batch === undefined) throw new Error('EAGAIN')
    return batch
  })

  const taken = Array.from({ length: 7 }, () => queue.next())

  t.strictSame(taken, [10, 11, 12, undefined, undefined, 13, undefined])
})
