import t from 'tap'
import { isSealable, Seals } from '../../../agent-side/shield/seals.ts'
import { instanceId } from '../../conformance/topology.ts'

const onFetch = { from: 'fetch', after: 100 } as const
const onRequest = { from: 'first_request', after: 100 } as const

t.test('a window begins with what the policy names, once, and ends for good', async (t) => {
  let changes = 0
  const seals = new Seals(() => (changes += 1))
  seals.note('first_request', instanceId(1), onFetch, 0)
  t.equal(seals.isSealed(instanceId(1), onFetch, 1_000), false, 'nothing was fetched')
  seals.note('fetch', instanceId(1), onFetch, 1_000)
  seals.note('fetch', instanceId(1), onFetch, 1_050)
  t.equal(seals.isSealed(instanceId(1), onFetch, 1_099), false)
  t.equal(seals.isSealed(instanceId(1), onFetch, 1_100), true, 'a later fetch lengthens nothing')
  t.equal(seals.isSealed(instanceId(2), onFetch, 1_100), false)
  seals.note('first_request', instanceId(2), onRequest, 2_000)
  t.equal(seals.isSealed(instanceId(2), onRequest, 2_100), true)
  t.equal(changes, 2)
})

t.test('unseal() lets the window begin anew', async (t) => {
  const seals = new Seals(() => undefined)
  seals.note('fetch', instanceId(1), onFetch, 0)
  t.equal(seals.unseal(instanceId(1)), true)
  t.equal(seals.unseal(instanceId(1)), false)
  t.equal(seals.isSealed(instanceId(1), onFetch, 1_000), false)
  seals.note('fetch', instanceId(1), onFetch, 1_000)
  t.equal(seals.isSealed(instanceId(1), onFetch, 1_100), true)
})

t.test('isSealable() leaves a password to be left', async (t) => {
  t.equal(isSealable(['user_data'], 'GET'), true)
  t.equal(isSealable(['user_data'], 'POST'), true, 'Nova looks at no method there')
  t.equal(isSealable(['password'], 'GET'), true)
  t.equal(isSealable(['password'], 'POST'), false)
  t.equal(isSealable(['password', 'user_data'], 'POST'), true)
  t.equal(isSealable(['identity'], 'GET'), false)
})
