import t from 'tap'
import { TwoGenerationMap } from '../../../lib/admission/two-generation-map.ts'

t.test('TwoGenerationMap never holds more than it may', async (t) => {
  const map = new TwoGenerationMap<number, number>(100)
  let largest = 0
  for (let key = 0; key < 10_000; key += 1) {
    map.set(key, key)
    largest = Math.max(largest, map.size)
  }
  t.equal(largest, 100)
})

t.test(
  'TwoGenerationMap keeps what is used while half of its room fills with other keys',
  async (t) => {
    const map = new TwoGenerationMap<string, number>(100)
    map.set('used', 1)
    map.set('quiet', 2)
    for (let key = 0; key < 10_000; key += 1) {
      map.set(`flood ${key}`, key)
      if (key % 49 === 0) t.equal(map.get('used'), 1)
    }
    t.equal(map.get('quiet'), undefined)
  },
)

t.test('TwoGenerationMap lists each entry once, and nothing after clear()', async (t) => {
  const map = new TwoGenerationMap<number, string>(4)
  for (const key of [1, 2, 3]) map.set(key, `${key}`)
  map.get(1)
  t.strictSame(
    new Map(map.entries()),
    new Map([
      [3, '3'],
      [1, '1'],
      [2, '2'],
    ]),
  )
  t.equal([...map.entries()].length, 3)
  map.clear()
  t.strictSame([...map.entries()], [])
  t.equal(map.size, 0)
})

t.test('TwoGenerationMap refuses to hold less than two', async (t) => {
  t.throws(() => new TwoGenerationMap(1), RangeError)
})
