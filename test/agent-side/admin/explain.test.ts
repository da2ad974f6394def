import t from 'tap'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import type { Explanation } from '../../../lib/operator/explanation.ts'
import { requestAdmin } from '../../../lib/http/admin-client.ts'
import { instanceId, mac, networkId, portId, projectId, ip } from '../../conformance/topology.ts'
import { guestFields, guestInstance, startAgentForOneGuest } from '../../support/one-guest.ts'
import { novaLike, RecordingUpstream } from '../../support/recording-upstream.ts'

const query = `network=${networkId(1)}&ip=10.0.0.10`

function stepsOf(explanation: unknown): readonly string[] {
  return (explanation as Explanation).steps.map((step) => step.step)
}

t.test('/explain gives each step from scope to upstream', async (t) => {
  const { agent } = await startAgentForOneGuest(t, { upstreams: ['http://127.0.0.1:1'] })
  const explanation = await agent.json(`/explain?${query}&mac=${mac(1)}`)
  t.strictSame(stepsOf(explanation), [
    'received',
    'served by this host',
    'cache',
    'networks',
    'ports',
    'decide',
    'shield',
    'compute',
  ])
  t.match(explanation, {
    verdict: {
      kind: 'found',
      basis: 'address_and_mac',
      instanceId: guestInstance,
      evidence: { why: 'Address and source MAC name the same port.' },
    },
  })
  const again = await agent.json(`/explain?${query}&mac=${mac(1)}`)
  t.strictSame(
    stepsOf(again),
    ['received', 'served by this host', 'cache', 'shield', 'compute'],
    'it uses the same cache',
  )
})

t.test('/explain names what conflicts, and what could not be queried', async (t) => {
  const { agent, directory } = await startAgentForOneGuest(t, { upstreams: ['http://127.0.0.1:1'] })
  directory.setPorts({
    portId: portId(2),
    networkId: networkId(1),
    macAddress: mac(2),
    fixedIps: [ip('10.0.0.11')],
    instanceId: instanceId(2),
    projectId: projectId(2),
  })
  directory.remember()
  t.match(await agent.json(`/explain?${query}&mac=${mac(2)}`), {
    verdict: {
      kind: 'conflict',
      reason: 'source_mac_conflict',
      evidence: { byAddress: [{ portId: portId(1) }], byMac: [{ portId: portId(2) }] },
    },
  })
  directory.failWith(new MetadataError('directory_unavailable', 'Cannot ask: connection refused'))
  t.match(await agent.json(`/explain?network=${networkId(9)}&ip=10.0.0.10`), {
    verdict: {
      kind: 'refused',
      reason: 'directory_unavailable',
      status: 503,
      evidence: { why: 'Cannot ask: connection refused' },
    },
  })
})

t.test('/explain finds a request by its id, answered or refused', async (t) => {
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const good = await agent.ask('/latest', guestFields)
  const bad = await agent.ask('/latest', [
    ['X-Neutron-Network-ID', networkId(1)],
    ['X-Forwarded-For', '10.0.0.99'],
  ])
  const odd = await agent.ask('/latest', [['X-Forwarded-For', '10.0.0.99']])

  const explain = (requestId?: string) => agent.json(`/explain?request=${requestId ?? ''}`)
  const explained = await explain(good?.field('x-request-id'))
  t.strictSame(stepsOf(explained), [
    'received',
    'resolved',
    'shield',
    'signature',
    'compute',
    'answered',
  ])
  t.match(explained, { verdict: { kind: 'found', status: 200, outcome: 'relayed' } })
  t.match(await explain(bad?.field('x-request-id')), {
    verdict: { kind: 'refused', reason: 'no_port', status: 404 },
  })
  t.match(await explain(odd?.field('x-request-id')), {
    verdict: { kind: 'refused', reason: 'identity_missing', status: 400 },
  })
})

t.test('/explain reports what is wrong with a question', async (t) => {
  const { agent } = await startAgentForOneGuest(t, { upstreams: ['http://127.0.0.1:1'] })
  for (const [path, status] of [
    ['/explain', 400],
    [`/explain?network=${networkId(1)}`, 400],
    [`/explain?network=a&router=b&ip=10.0.0.1`, 400],
    [`/explain?${query}&mac=x`, 400],
    ['/explain?request=unknown', 404],
  ] as const) {
    const answer = await requestAdmin(agent.admin, path)
    t.equal(answer.status, status, path)
    t.match(JSON.parse(answer.body), { message: /./ })
  }
})
