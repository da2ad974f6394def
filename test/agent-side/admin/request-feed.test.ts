import t from 'tap'
import { readEvents } from '../../../lib/http/event-reader.ts'
import { instanceId, networkId, projectId } from '../../conformance/topology.ts'
import { guestFields, startAgentForOneGuest } from '../../support/one-guest.ts'
import { RecordingUpstream } from '../../support/recording-upstream.ts'

t.test('the agent sends each request to whoever watches, with whose it is', async (t) => {
  const upstream = await RecordingUpstream.start()
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const ending = new AbortController()
  const stream = readEvents(agent.admin, `/events?network=${networkId(1)}`, ending.signal)
  await stream.next()
  await agent.ask('/latest', [['X-Forwarded-For', '10.0.0.99']])
  const bad = await agent.ask('/latest', [
    ['X-Neutron-Network-ID', networkId(1)],
    ['X-Forwarded-For', '10.0.0.99'],
  ])
  const good = await agent.ask('/latest/meta-data/', guestFields)
  t.match((await stream.next()).value, {
    kind: 'request',
    data: { requestId: bad?.field('x-request-id'), reason: 'no_port', outcome: 'refused' },
  })
  t.match((await stream.next()).value, {
    data: {
      requestId: good?.field('x-request-id'),
      target: '/latest/meta-data/',
      scope: `network/${networkId(1)}`,
      instanceId: instanceId(1),
      projectId: projectId(1),
      answeredBy: 'agent',
      status: 200,
    },
  })
  const metrics = await agent.text('/metrics')
  t.match(metrics, /^overlapd_event_streams\{daemon="agent"\} 1$/m)
  t.match(metrics, /^overlapd_event_streams_dropped_total\{daemon="agent"\} 0$/m)
  ending.abort()
})
