import t from 'tap'
import { isMapping } from '../../../lib/runtime/mapping.ts'

t.test('isMapping() takes objects of JSON, and neither lists nor null', async (t) => {
  for (const value of [{}, { a: 1 }, Object.create(null)]) t.equal(isMapping(value), true)
  for (const value of [null, undefined, [], 'text', 0, true]) t.equal(isMapping(value), false)
})
