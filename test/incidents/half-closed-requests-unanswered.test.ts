// A client that ends its sending half after the request (busybox nc, nc -N, socat) got nothing; haproxy answers. Right: whatever was
// whole before the end is answered, over both readers.
import { connect } from 'node:net'
import t from 'tap'
import { guestPort, startLeasePair } from '../support/lease-pair.ts'
import { askRaw, get, RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path })
const overIpv6 = await startWorker({ agentSocket: agent.path, host: '::1' })
t.teardown(async () => {
  await worker.stop()
  await overIpv6.stop()
  await agent.close()
})
agent.answer = ({ method, target }) => {
  if (target === '/absent') return 'HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone'
  return method === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n' : plainAnswer('ok')
}

/** Writes, ends the sending half in the same breath, and reads to the end. */
async function answersOf(
  bytes: string,
  count: number,
  { host, tcpPort } = worker.target,
): Promise<readonly (RawAnswer | undefined)[]> {
  const guest = await RawConnection.over(connect({ host, port: tcpPort, allowHalfOpen: true }))
  return await answersOn(guest, bytes, count)
}

async function answersOn(
  guest: RawConnection,
  bytes: string,
  count: number,
): Promise<readonly (RawAnswer | undefined)[]> {
  guest.socket.end(Buffer.from(bytes, 'latin1'))
  const isHead = bytes.startsWith('HEAD')
  const answers: (RawAnswer | undefined)[] = []
  for (let index = 0; index < count; index += 1) answers.push(await guest.answer({ isHead }))
  t.equal((await guest.rest()).length, 0)
  return answers
}

const post = 'POST /a HTTP/1.1\r\nHost: a\r\n'
const cases: readonly (readonly [what: string, bytes: string, statuses: readonly number[]])[] = [
  ['HTTP/1.1', get('/one'), [200]],
  ['HTTP/1.0', 'GET /one HTTP/1.0\r\n\r\n', [200]],
  ['bare LF', 'GET /one HTTP/1.0\n\n', [200]],
  ['HEAD', 'HEAD /one HTTP/1.1\r\nHost: a\r\n\r\n', [200]],
  ['a body with a length', `${post}Content-Length: 3\r\n\r\nabc`, [200]],
  ['a body in chunks', `${post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, [200]],
  ['three at once', get('/one') + get('/two') + get('/three'), [200, 200, 200]],
  ['a body and a GET', `${post}Content-Length: 3\r\n\r\nabc${get('/two')}`, [200, 200]],
  ['a 404', get('/absent'), [404]],
  ['a 404 over HTTP/1.0', 'GET /absent HTTP/1.0\r\n\r\n', [404]],
]

for (const [what, bytes, statuses] of cases) {
  t.test(`${what} is answered after the end of the sending half`, async (t) => {
    for (const target of [worker.target, overIpv6.target]) {
      const answers = await answersOf(bytes, statuses.length, target)
      t.strictSame(
        answers.map((answer) => answer?.status),
        statuses,
        target.host,
      )
    }
  })
}

t.test('so is it straight from compute', async (t) => {
  const pair = await startLeasePair(t)
  const port = guestPort(1)
  pair.directory.setPorts(port)
  pair.directory.remember()
  await pair.worker.askUntilLeased(port)
  const before = await pair.worker.direct()
  pair.upstream.answer = ({ target }, response) => {
    response.statusCode = target === '/absent' ? 404 : 200
    response.end('ok')
  }
  for (const [what, bytes, statuses] of cases) {
    const guest = await pair.worker.connectAs(port)
    guest.socket.allowHalfOpen = true
    const answers = await answersOn(guest, bytes, statuses.length)
    t.strictSame(
      answers.map((answer) => answer?.status),
      statuses,
      what,
    )
  }
  t.ok((await pair.worker.direct()) > before)
})

t.test('a request that is not whole at the end gets no answer and holds nothing', async (t) => {
  for (const bytes of ['GET / HT', `${post}Content-Length: 3\r\n\r\na`, '']) {
    t.strictSame(await answersOf(bytes, 1), [undefined])
  }
  t.equal((await askRaw(worker.target, get('/after')))?.status, 200)
})
