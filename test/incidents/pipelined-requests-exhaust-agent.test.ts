// 128 connections to the agent's socket that pipelined and read nothing made it hold two objects for each request: 2 GiB in 50 s, nobody
// answered. Right: a second request while the first is being answered ends the connection, and is counted.
import { connect } from 'node:net'
import t from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
const one = `GET /held HTTP/1.1\r\n${lines}\r\n`

t.test('peers that pipeline lose their connections, and nobody else notices', async (t) => {
  const upstream = await RecordingUpstream.start(({ target }, response) => {
    if (target !== '/held') response.end('ok')
  })
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const flood = Buffer.from(one.repeat(5_000))

  const peers = Array.from({ length: 32 }, () => {
    const peer = connect(agent.socketOf('overlapd'))
    peer.on('error', () => undefined)
    peer.pause()
    peer.write(flood)
    return peer
  })
  const ends = peers.map((peer) => new Promise((closed) => peer.once('close', closed)))
  const answer = await agent.ask('/quick', guestFields)
  await Promise.all(ends)

  t.equal(answer?.status, 200)
  const metrics = await agent.text('/metrics')
  t.match(metrics, 'overlapd_agent_unreadable_requests_total{reason="request_pipelined"} 32')
  t.ok(upstream.requests.length <= 33, `${upstream.requests.length} requests reached compute`)
})

t.test('one after the other on one connection is what proxies do', async (t) => {
  const upstream = await RecordingUpstream.start(
    ({ target }, response) => void response.end(target),
  )
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const connection = await agent.connect()
  for (const target of ['/1', '/2', '/3']) {
    void connection.write(`GET ${target} HTTP/1.1\r\n${lines}\r\n`)
    t.equal((await connection.answer())?.body.toString(), target)
  }
  connection.close()
})
