import t from 'tap'
import { LeastLoaded } from '../../../lib/admission/least-loaded.ts'

t.test('LeastLoaded names who has least running, then who came first', async (t) => {
  const turns = new LeastLoaded<{ name: string; running: number }>()
  const [busy, first, second] = ['busy', 'first', 'second'].map((name) => ({ name, running: 0 }))
  busy!.running = 7
  for (const one of [busy!, first!, second!]) turns.add(one)
  t.equal(turns.first(), first)
  turns.remove(first!)
  first!.running = 1
  turns.add(first!)
  t.equal(turns.first(), second)
  t.strictSame(
    [...turns].map(({ name }) => name),
    ['second', 'first', 'busy'],
  )
  for (const one of [busy!, first!, second!]) turns.remove(one)
  t.equal(turns.first(), undefined)
})
