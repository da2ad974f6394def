import t from 'tap'
import { RequestIds } from '../../../../proxy/worker/guest/request-ids.ts'

t.test('RequestIds makes short ids that are safe in a header and never repeat', async (t) => {
  const ids = [new RequestIds(), new RequestIds()]
  const made = new Set<string>()
  let isSafe = true
  for (let count = 0; count < 100_000; count += 1) {
    const id = ids[count % 2]!.next()
    isSafe &&= /^[0-9a-z-]{20}$/.test(id)
    made.add(id)
  }

  t.ok(isSafe)
  t.equal(made.size, 100_000)
})

t.test('RequestIds does not count in a way that a guest could read', async (t) => {
  const ids = new RequestIds()
  const numbers = Array.from({ length: 1_000 }, () => Number.parseInt(ids.next().slice(-7), 36))
  const steps = numbers.slice(1).map((number, index) => number - numbers[index]!)

  t.ok(new Set(steps).size > 900)
  t.ok(steps.filter((step) => step > 0).length < 700, 'they do not even rise')
})
