import t from 'tap'
import { isInitialHopLimit, routersPassed } from '../../../lib/wire/hop-limit.ts'

t.test('routersPassed() counts from the nearest hop limit that systems send with', async (t) => {
  for (const [hopLimit, routers] of [
    [255, 0],
    [254, 1],
    [129, 126],
    [128, 0],
    [127, 1],
    [65, 63],
    [64, 0],
    [63, 1],
    [1, 63],
    [0, 64],
  ] as const) {
    t.equal(routersPassed(hopLimit), routers, `${hopLimit}`)
    t.equal(isInitialHopLimit(hopLimit), routers === 0, `${hopLimit}`)
  }
})
