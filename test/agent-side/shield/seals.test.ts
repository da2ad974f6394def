import t from 'tap'
import { isSealable, Seals } from '../../../agent-side/shield/seals.ts'
import { instanceId } from '../../conformance/topology.ts'

const onFetch = { from: 'fetch', after: 100 } as const
const onRequest = { from: 'first_request', after: 100 } as const

const begin = 1_000_000

/** Seals with a clock that the test moves: both at once, or the wall time alone. */
function made(most?: number) {
  const time = { now: 0, wall: begin }
  const counted = { changes: 0 }
  const clock = { now: () => time.now, wallTime: () => time.wall }
  const onChange = (): void => void (counted.changes += 1)
  const seals = new Seals({ clock, onChange, ...(most !== undefined && { most }) })
  const pass = (span: number): void => {
    time.now += span
    time.wall += span
  }
  return { seals, time, counted, pass }
}

t.test('a window begins with what the policy names, once, and ends for good', async (t) => {
  const { seals, pass, counted } = made()
  seals.note('first_request', instanceId(1), onFetch)
  pass(1_000)
  t.equal(seals.isSealed(instanceId(1), onFetch), false, 'nothing was fetched')
  seals.note('fetch', instanceId(1), onFetch)
  pass(50)
  seals.note('fetch', instanceId(1), onFetch)
  pass(49)
  t.equal(seals.isSealed(instanceId(1), onFetch), false)
  pass(1)
  t.equal(seals.isSealed(instanceId(1), onFetch), true, 'a later fetch lengthens nothing')
  t.equal(seals.isSealed(instanceId(1), { ...onFetch, after: 9_999 }), true, 'nor another policy')
  t.equal(seals.isSealed(instanceId(2), onFetch), false)
  seals.note('first_request', instanceId(2), onRequest)
  pass(100)
  t.equal(seals.isSealed(instanceId(2), onRequest), true)
  t.equal(counted.changes, 4, 'two began, two ended')
})

t.test('no clock that is set opens a window, or keeps it open', async (t) => {
  const { seals, time, pass } = made()
  seals.note('fetch', instanceId(1), onFetch)
  seals.note('fetch', instanceId(2), onFetch)
  pass(100)
  t.equal(seals.isSealed(instanceId(1), onFetch), true)
  time.wall -= 500
  t.equal(seals.isSealed(instanceId(1), onFetch), true, 'seen sealed before')
  t.equal(seals.isSealed(instanceId(2), onFetch), true, 'as long open as the other')

  seals.note('fetch', instanceId(3), onFetch)
  const saved = seals.entries()
  const later = made()
  later.time.wall = begin - 5_000
  later.seals.restore(saved)
  for (const number of [1, 2, 3]) {
    t.equal(later.seals.isSealed(instanceId(number), onFetch), true, 'after a restart')
  }
  const soon = made()
  soon.time.wall = begin
  soon.seals.restore([[instanceId(1), begin - 40]])
  soon.time.wall -= 10_000
  soon.time.now = 99
  t.equal(soon.seals.isSealed(instanceId(1), onFetch), false)
  soon.time.now = 100
  t.equal(soon.seals.isSealed(instanceId(1), onFetch), true, 'bounded from the restart on')
})

t.test('where no more windows can be kept, none is forgotten and none begins', async (t) => {
  const { seals, pass } = made(2)
  seals.note('fetch', instanceId(1), onFetch)
  t.equal(seals.isFull, false)
  seals.note('fetch', instanceId(2), onFetch)
  t.equal(seals.isFull, true)
  seals.note('fetch', instanceId(3), onFetch)
  t.equal(seals.size, 2)
  t.equal(seals.isSealed(instanceId(1), onFetch), false, 'within its window')
  t.equal(seals.isSealed(instanceId(3), onFetch), true, 'has none')
  pass(100)
  t.equal(seals.isSealed(instanceId(1), onFetch), true)
  t.equal(seals.isSealed(instanceId(2), onFetch), true, 'not forgotten')

  t.equal(seals.unseal(instanceId(3)), true)
  t.equal(seals.isSealed(instanceId(3), onFetch), false, 'an operator may')
  pass(100)
  t.equal(seals.isSealed(instanceId(3), onFetch), true)
  const later = made(2)
  later.seals.restore(seals.entries())
  t.equal(later.seals.size, 3, 'nor is one forgotten over a restart')
})

t.test('unseal() lets the window begin anew', async (t) => {
  const { seals, pass } = made()
  seals.note('fetch', instanceId(1), onFetch)
  pass(1_000)
  t.equal(seals.isSealed(instanceId(1), onFetch), true)
  t.equal(seals.unseal(instanceId(1)), true)
  t.equal(seals.unseal(instanceId(1)), false)
  t.equal(seals.isSealed(instanceId(1), onFetch), false)
  seals.note('fetch', instanceId(1), onFetch)
  pass(100)
  t.equal(seals.isSealed(instanceId(1), onFetch), true)
})

t.test('isSealable() leaves a password to be left', async (t) => {
  t.equal(isSealable(['user_data'], 'GET'), true)
  t.equal(isSealable(['user_data'], 'POST'), true, 'Nova looks at no method there')
  t.equal(isSealable(['password'], 'GET'), true)
  t.equal(isSealable(['password'], 'POST'), false)
  t.equal(isSealable(['password', 'user_data'], 'POST'), true)
  t.equal(isSealable(['identity'], 'GET'), false)
})
