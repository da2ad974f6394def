import t from 'tap'
import { deferred } from '../../../lib/runtime/deferred.ts'

t.test('a deferred promise settles as its functions demand, and once', async (t) => {
  const kept = deferred<number>()
  const broken = deferred<number>()

  kept.resolve(1)
  kept.reject(new Error('too late'))
  broken.reject(new Error('no'))

  t.equal(await kept.promise, 1)
  await t.rejects(broken.promise, { message: 'no' })
})
