// A client that ends its sending half after the request (busybox nc, nc -N, socat) got nothing; haproxy answers. Right: whatever was
// whole before the end is answered, over both readers.
import { connect } from 'node:net'
import t from 'tap'
import { askRaw, get, RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path })
t.teardown(async () => {
  await worker.stop()
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
): Promise<readonly (RawAnswer | undefined)[]> {
  const { host, tcpPort } = worker.target
  const guest = await RawConnection.over(connect({ host, port: tcpPort, allowHalfOpen: true }))
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
    const answers = await answersOf(bytes, statuses.length)
    t.strictSame(
      answers.map((answer) => answer?.status),
      statuses,
    )
  })
}

t.test('a request that is not whole at the end gets no answer and holds nothing', async (t) => {
  for (const bytes of ['GET / HT', `${post}Content-Length: 3\r\n\r\na`, '']) {
    t.strictSame(await answersOf(bytes, 1), [undefined])
  }
  t.equal((await askRaw(worker.target, get('/after')))?.status, 200)
})
