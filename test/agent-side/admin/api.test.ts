import t from 'tap'
import { requestAdmin } from '../../../lib/http/admin-client.ts'
import { instanceId, networkId, routerId } from '../../conformance/topology.ts'
import { checkAdminApi, checkEvents } from '../../support/admin-api-check.ts'
import { guestFields, startAgentForOneGuest } from '../../support/one-guest.ts'
import { RecordingUpstream } from '../../support/recording-upstream.ts'

t.test('every answer of the agent has the form that its description gives', async (t) => {
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const good = await agent.ask('/latest', guestFields)
  const bad = await agent.ask('/latest', [
    ['X-Neutron-Network-ID', networkId(1)],
    ['X-Forwarded-For', '10.0.0.99'],
  ])
  const scopes = [`network/${networkId(1)}`, `router/${routerId(9)}`]
  await checkAdminApi(t, 'agent', agent.admin, [
    ['get', '/health', 200],
    ['get', '/ready', 200],
    ['get', '/status', 200],
    ['get', '/metrics', 200],
    ['get', '/history', 200],
    ['get', '/', 200],
    ['get', `/explain?network=${networkId(1)}&ip=10.0.0.10`, 200],
    ['get', `/explain?network=${networkId(9)}&ip=10.0.0.10`, 200],
    ['get', `/explain?request=${good?.field('x-request-id')}`, 200],
    ['get', `/explain?request=${bad?.field('x-request-id')}`, 200],
    ['get', '/explain?request=none', 404],
    ['get', '/explain', 400],
    ['get', '/shield', 200],
    ['post', '/unseal', 200, { instance: instanceId(1), who: 'operator', why: 'test' }],
    ['post', '/unseal', 400, { instance: instanceId(1), who: 'operator', why: '' }],
    ['post', '/unseal', 400, { instance: 'a b', who: 'operator', why: 'test' }],
    ['post', '/unseal', 400, 5],
    ['get', '/audit', 200],
    ['post', '/audit', 200, { scopes, answers: true }],
    ['post', '/audit', 400, { scopes: 5 }],
    ['get', '/events?reason=made_up', 400],
  ])
  await checkEvents(t, 'agent', agent.admin, () => agent.ask('/latest', guestFields))
  t.equal((await requestAdmin(agent.admin, '/health')).status, 200)
})
