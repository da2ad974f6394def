import t from 'tap'
import { RuleRemovals } from '../../../proxy/interception/rule-removals.ts'
import type { NamespaceKey } from '../../../proxy/netns/namespace-handle.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const key = 'one' as NamespaceKey

t.test('RuleRemovals counts ten minutes, and names the last program that is known', async (t) => {
  const clock = new FakeClock()
  const removals = new RuleRemovals(clock)
  t.strictSame(removals.of(key), { count: 0, by: undefined })
  t.equal(removals.note(key, { pid: 7, program: 'nft' }), 'nft (process 7)')
  await clock.advance(300_000)
  t.equal(removals.note(key, undefined), undefined)
  t.strictSame(removals.of(key), { count: 2, by: 'nft (process 7)' })
  await clock.advance(300_001)
  t.equal(removals.of(key).count, 1)
  removals.forget(key)
  t.strictSame(removals.of(key), { count: 0, by: undefined })
})
