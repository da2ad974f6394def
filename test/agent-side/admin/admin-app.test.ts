import t from 'tap'
import { networkId, routerId } from '../../conformance/topology.ts'
import { requestAdmin, requestAdminJson } from '../../../lib/http/admin-client.ts'
import { guestFields, startAgentForOneGuest } from '../../support/one-guest.ts'
import { RecordingUpstream } from '../../support/recording-upstream.ts'

t.test('/ready names what is missing and /health does not mind', async (t) => {
  const { agent, directory } = await startAgentForOneGuest(t, { upstreams: ['http://127.0.0.1:1'] })
  t.equal((await requestAdmin(agent.admin, '/ready')).status, 200)
  directory.state = { ready: false, detail: 'Waiting for the first dump' }
  const answer = await requestAdmin(agent.admin, '/ready')
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.body), {
    ready: false,
    state: 'not_ready',
    problems: [{ code: 'directory_not_ready', what: /Waiting for the first dump/ }],
  })
  t.equal((await requestAdmin(agent.admin, '/health')).status, 200)
})

t.test('/metrics counts requests, questions, lookups and attempts', async (t) => {
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  await agent.ask('/latest', guestFields)
  await agent.ask('/latest', guestFields)
  await agent.ask('/latest', [guestFields[0]!, ['X-Forwarded-For', '10.0.0.99']])
  const text = await agent.text('/metrics')
  for (const line of [
    'overlapd_agent_requests_total{outcome="relayed",reason="none",status="2xx"} 2',
    'overlapd_agent_requests_total{outcome="refused",reason="no_port",status="4xx"} 1',
    'overlapd_agent_cache_lookups_total{outcome="hit"} 1',
    'overlapd_agent_cache_lookups_total{outcome="miss"} 2',
    'overlapd_agent_directory_queries_total{query="ports",freshness="cached"} 2',
    'overlapd_agent_directory_queries_total{query="ports",freshness="fresh"} 1',
    'overlapd_agent_upstream_seconds_count{upstream="0",outcome="2xx"} 2',
    'overlapd_agent_cache_entries{kind="found"} 1',
    'overlapd_agent_upstream_up{upstream="0"} 1',
    'overlapd_agent_directory_ready 1',
  ]) {
    t.match(text, line)
  }
})

t.test('/audit wants JSON, and decides what would be answered', async (t) => {
  const { agent } = await startAgentForOneGuest(t, { upstreams: ['http://127.0.0.1:1'] })
  const ask = (json: unknown): ReturnType<typeof requestAdminJson> =>
    requestAdminJson(agent.admin, '/audit', { json })
  const scopes = [`network/${networkId(1)}`]
  t.match(await ask({ scopes, answers: true }), {
    status: 200,
    value: { findings: [], checked: { scopes: 1 }, answers: [{ scope: scopes[0] }] },
  })
  t.match(await ask({}), { status: 200, value: { findings: [] } })
  t.match(await ask([]), { status: 400, value: { message: 'send a JSON object' } })
  t.match(await ask({ scopes: 'x' }), { status: 400, value: { message: 'scopes is no list' } })
  t.match(await ask({ scopes: ['port/1'] }), { status: 400 })
  t.equal((await requestAdmin(agent.admin, '/audit')).status, 200)
})

t.test(
  '/explain takes the ingress port of a router, by id or as in the name of its interface',
  async (t) => {
    const upstream = await RecordingUpstream.start()
    t.teardown(() => upstream.close())
    const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
    const explain = (query: string): ReturnType<typeof requestAdminJson> =>
      requestAdminJson(agent.admin, `/explain?ip=10.0.0.10&${query}`)
    const router = `router=${routerId(7)}`
    for (const [given, shown] of [
      ['4d2a7c11-9e0b-4c55-8f6d-0b1f6a7c2d31', '4d2a7c11-9e'],
      ['4d2a7c11-9e', '4d2a7c11-9e'],
      ['other', 'other'],
    ]) {
      const { status, value } = await explain(`${router}&ingress_port=${given}`)
      t.equal(status, 200)
      t.match(value, { steps: [{ step: 'received', detail: { ingressPort: shown } }] })
    }
    t.equal((await explain(`${router}&ingress_port=qr-4d2a7c11`)).status, 400)
    t.equal((await explain(`network=${networkId(1)}&ingress_port=other`)).status, 400)
  },
)
