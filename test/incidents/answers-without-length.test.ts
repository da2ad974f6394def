// A compute service that sends no length (Debian's Nova behind uWSGI) made each small answer chunked for HTTP/1.1 guests and without a
// length for HTTP/1.0. Right: what is whole within a small buffer gets a length; longer answers stream as before.
import { connect } from 'node:net'
import t from 'tap'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { guestFields, startAgentForOneGuest } from '../support/one-guest.ts'
import { RawConnection } from '../support/raw-http.ts'
import { plainAnswer } from '../support/recording-agent.ts'
import { WireUpstream } from '../support/wire-upstream.ts'

const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
const noLength = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n'

for (const [what, size, length] of [
  ['nothing', 0, '0'],
  ['a small answer', 2_500, '2500'],
  ['as much as is held', 64 * 1024, '65536'],
  ['a large answer', 200_000, undefined],
] as const) {
  t.test(`${what} without a length, over the agent`, async (t) => {
    const upstream = await WireUpstream.start()
    t.teardown(() => upstream.close())
    upstream.answer = ({ socket }) => {
      socket.end(noLength + 'x'.repeat(size))
    }
    const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
    for (const version of ['1.0', '1.1']) {
      const connection = await RawConnection.over(connect(agent.socketOf('overlapd')))
      void connection.write(`GET / HTTP/${version}\r\n${lines}\r\n`)
      const answer = await connection.answer()
      t.equal(answer?.status, 200)
      t.equal(answer?.field('content-length'), length)
      t.equal(answer?.body.length, size)
      connection.close()
    }
  })
}

t.test('an answer that has its length is as it was', async (t) => {
  const upstream = await WireUpstream.start()
  t.teardown(() => upstream.close())
  upstream.answer = ({ socket }) => void socket.write(plainAnswer('ok'))
  const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
  const answer = await agent.ask('/', guestFields)
  t.equal(answer?.field('content-length'), '2')
})

for (const [what, size, length] of [
  ['a small answer', 2_500, '2500'],
  ['a large answer', 200_000, undefined],
] as const) {
  t.test(`${what} without a length, straight from compute`, async (t) => {
    const { directory, upstream, worker } = await startLeasePair(t)
    const port = guestPort(1)
    directory.setPorts(port)
    directory.remember()
    await worker.askUntilLeased(port)
    upstream.answer = (_request, response) => {
      response.useChunkedEncodingByDefault = false
      response.shouldKeepAlive = false
      response.write('x'.repeat(size))
      response.end()
    }
    for (const version of ['1.0', '1.1']) {
      const connection = await worker.connectAs(port)
      void connection.write(`GET /latest HTTP/${version}\r\nHost: 169.254.169.254\r\n\r\n`)
      const answer = await connection.answer()
      t.equal(answer?.field('content-length'), length)
      t.equal(answer?.body.length, size)
      connection.close()
    }
    t.equal(await worker.direct(), 2)
  })
}

t.test(
  'one that breaks off while it is held is answered as a failure, not as a whole',
  async (t) => {
    const upstream = await WireUpstream.start()
    t.teardown(() => upstream.close())
    upstream.answer = ({ socket }) => {
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel')
    }
    const { agent } = await startAgentForOneGuest(t, { upstreams: [upstream.url] })
    const answer = await agent.ask('/', guestFields)
    t.equal(answer?.status, 502)
    t.equal(answer?.field('x-overlapd-reason'), 'compute_broken_answer')
  },
)
