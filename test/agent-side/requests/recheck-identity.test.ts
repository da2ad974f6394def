import t from 'tap'
import { IdentityRecheck } from '../../../agent-side/requests/recheck-identity.ts'
import type { Resolution } from '../../../agent-side/resolve/resolution.ts'
import { instanceId, ip, networkId, portId, projectId } from '../../conformance/topology.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function subject() {
  const clock = new FakeClock()
  const resolution: Resolution & { kind: 'found' } = {
    kind: 'found',
    identity: {
      instanceId: instanceId(1),
      projectId: projectId(1),
      portId: portId(1),
      networkId: networkId(1),
      sourceIp: ip('10.0.0.10'),
    },
    basis: 'address_and_mac',
    evidence: { networkIds: [], byAddress: [], byMac: [], why: '.' },
    asOf: clock.now(),
    freshness: 'fresh',
  }
  return { clock, resolution, doubt: new IdentityRecheck(clock) }
}

t.test('isDue() does not doubt what has just been looked up', async (t) => {
  const { clock, resolution, doubt } = subject()
  t.equal(doubt.isDue(resolution), false)
  clock.pass(2_000)
  t.equal(doubt.isDue(resolution), true)
})

t.test('noteAnswer() lets a good answer vouch for a while', async (t) => {
  const { clock, resolution, doubt } = subject()
  clock.pass(5_000)
  doubt.noteAnswer(resolution.identity, '/openstack/latest/meta_data.json', 200)
  t.equal(doubt.isDue(resolution), false)
  clock.pass(10_001)
  t.equal(doubt.isDue(resolution), true)
})

t.test('noteAnswer() takes no answer that every instance gets', async (t) => {
  const { clock, resolution, doubt } = subject()
  clock.pass(5_000)
  for (const [target, status] of [
    ['/', 200],
    ['//', 200],
    ['/?latest', 200],
    ['/latest/..', 200],
    ['/latest/%2e%2e', 200],
    ['/x/latest', 200],
    ['/latest', 404],
  ] as const) {
    doubt.noteAnswer(resolution.identity, target, status)
    t.equal(doubt.isDue(resolution), true, target)
  }
  doubt.noteAnswer(resolution.identity, '//2009-04-04/meta-data/', 200)
  t.equal(doubt.isDue(resolution), false)
})
