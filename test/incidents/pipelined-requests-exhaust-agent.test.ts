// 128 connections to the agent's socket that pipelined and read nothing made it hold two objects for each request: 2 GiB in 50 s, nobody
// answered. Right: a second request while the first is being answered ends the connection, and is counted.
import { connect } from 'node:net'
import t from 'tap'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'

const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
const one = `GET /held HTTP/1.1\r\n${lines}\r\n`

t.test('peers that pipeline lose their connections, and no other peer notices', async (t) => {
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

// A long answer is taken by the kernel piece by piece, and the peer may have the last one, and send its next request, before Node says
// that the response is finished. Such requests were refused as pipelined.
t.test('the next request may come as soon as the last byte of a long answer is out', async (t) => {
  const body = Buffer.alloc(768 * 1024, 'x')
  const upstream = await RecordingUpstream.start((_request, response) => void response.end(body))
  t.teardown(() => upstream.close())
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const connections = await Promise.all(Array.from({ length: 8 }, () => agent.connect()))
  const answered = await Promise.all(
    connections.map(async (connection) => {
      let count = 0
      for (; count < 4; count += 1) {
        void connection.write(`GET /long HTTP/1.1\r\n${lines}\r\n`)
        if ((await connection.answer())?.status !== 200) break
      }
      connection.close()
      return count
    }),
  )

  t.strictSame(
    answered,
    Array.from({ length: 8 }, () => 4),
  )
  t.notMatch(await agent.text('/metrics'), 'reason="request_pipelined"')
})
