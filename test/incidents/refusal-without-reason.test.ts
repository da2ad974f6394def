// A guest behind haproxy sent an expectation that nobody knows, and got Node's own 417 without a reason code. Right: every refusal has one,
// and is counted.
import t from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

t.test('Expect: foo behind haproxy is refused with a reason', async (t) => {
  const upstream = await RecordingUpstream.start((_request, response) => void response.end('ok'))
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  for (const listener of ['ml2', 'ovn', 'overlapd'] as const) {
    const connection = await agent.connect(listener)
    const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    void connection.write(`GET / HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n${lines}\r\n`)
    const answer = await connection.answer()
    t.equal(answer?.status, 417, listener)
    t.equal(answer?.field('x-overlapd-reason'), 'expectation_failed', listener)
    connection.close()
  }
  t.equal(upstream.requests.length, 0)
  t.match(
    await agent.text('/metrics'),
    'overlapd_agent_unreadable_requests_total{reason="expectation_failed"} 3',
  )
})
