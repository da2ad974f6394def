import t from 'tap'
import { FairShare, hasRoomFor } from '../../../lib/admission/fair-share.ts'

t.test('hasRoomFor() keeps the last quarter for projects that hold few', async (t) => {
  for (const [limit, running, ofProject, expected] of [
    [8, 0, 0, true],
    [8, 5, 5, true],
    [8, 6, 6, false],
    [8, 6, 1, true],
    [8, 6, 2, false],
    [8, 8, 0, false],
    [1, 0, 0, true],
    [1, 1, 0, false],
    [3, 2, 2, true],
  ] as const) {
    t.equal(hasRoomFor({ limit, running, ofProject }), expected, `${limit} ${running} ${ofProject}`)
  }
})

t.test('FairShare gives slots back to whoever may have them', async (t) => {
  const share = new FairShare()
  const took = Array.from({ length: 10 }, () => share.tryEnter('noisy', 8))
  t.equal(took.filter(Boolean).length, 6)
  t.ok(share.tryEnter('quiet', 8))
  t.equal(share.running, 7)
  t.notOk(share.tryEnter('noisy', 8))
  for (let turn = 0; turn < 6; turn += 1) share.leave('noisy')
  share.leave('noisy')
  t.equal(share.running, 1, 'what nobody holds cannot be given back')
  t.notOk(share.tryEnter('noisy', 1), 'a lower limit counts at once')
  share.leave('quiet')
  t.ok(share.tryEnter('noisy', 1))
})
