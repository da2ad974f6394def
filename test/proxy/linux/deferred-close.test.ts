import t from 'tap'
import { DeferredClose } from '../../../proxy/linux/deferred-close.ts'

t.test('DeferredClose closes the older half when it is full, and all on request', async (t) => {
  const closed: number[] = []
  const late = new DeferredClose<number>(4, (item) => closed.push(item))
  for (const item of [1, 2, 3, 4]) {
    late.makeRoom()
    late.add(item)
  }
  t.same(closed, [])
  late.makeRoom()
  t.same(closed, [1, 2])
  late.add(5)
  late.closeAll()
  t.same(closed, [1, 2, 3, 4, 5])
  late.closeAll()
  t.same(closed, [1, 2, 3, 4, 5], 'each once')
})
