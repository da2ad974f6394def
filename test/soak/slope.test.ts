import t from 'tap'
import { SeededRandom } from '../support/random.ts'
import { isGrowth, slopeOf, type Series } from './slope.ts'

const random = new SeededRandom(1)
const life = (level: number, perMinute: number, noise: number): Series =>
  Array.from({ length: 60 }, (_, index) => {
    const minutes = index / 6
    return [minutes, level + perMinute * minutes + noise * (random.next() - 0.5)] as const
  })

t.test('a leak is distinguished from noise', async (t) => {
  const leak = slopeOf([life(50_000, 240, 2_000)])
  const flat = slopeOf([life(50_000, 0, 2_000)])

  t.ok(leak !== undefined && Math.abs(leak.perMinute - 240) < 100, String(leak?.perMinute))
  t.equal(leak && isGrowth(leak, 1_000), true)
  t.equal(flat && isGrowth(flat, 1_000), false)
})

t.test('a restart to another level is no growth', async (t) => {
  const slope = slopeOf([life(50_000, 0, 500), life(90_000, 0, 500)])

  t.equal(slope && isGrowth(slope, 1_000), false)
})

t.test('growth that ends in the first third of a life is warming up', async (t) => {
  const warming: Series = Array.from({ length: 60 }, (_, index) => [
    index / 6,
    Math.min(index, 15) * 1_000 + (index % 2),
  ])
  const slope = slopeOf([warming])

  t.equal(slope && isGrowth(slope, 1_000), false)
})

t.test('too few samples have no slope', async (t) => {
  t.equal(slopeOf([]), undefined)
  t.equal(slopeOf([[[0, 1]]]), undefined)
})
