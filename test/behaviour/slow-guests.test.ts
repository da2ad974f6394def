import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({
  agentSocket: agent.path,
  // Longer than this process may be held up before it sends what it has to send.
  limits: { timeoutHead: 300, timeoutRequest: 600, timeoutKeepAlive: 300 },
})
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

t.test('a guest that connects and sends nothing is sent away', async (t) => {
  const guest = await RawConnection.open(worker.target)

  const answer = await guest.answer()
  guest.socket.end()
  await guest.rest()

  t.equal(answer?.status, 408)
  t.equal(answer?.field('x-overlapd-reason'), 'request_timeout')
  t.equal(answer?.field('connection'), 'close')
})

t.test('a head that never ends is sent away, however often a byte comes', async (t) => {
  const guest = await RawConnection.open(worker.target)
  void drip(guest, 'GET / HTTP/1.1\r\nX-Slow: ')

  const answer = await guest.answer()
  guest.close()

  t.equal(answer?.field('x-overlapd-reason'), 'request_timeout')
})

for (const [what, head] of [
  ['with a length', 'Content-Length: 60000'],
  ['in chunks', 'Transfer-Encoding: chunked'],
] as const) {
  t.test(`a body ${what} that never ends is sent away and never reaches the agent`, async (t) => {
    const seen = agent.requests.length
    const connections = agent.connections
    const guest = await RawConnection.open(worker.target)
    void drip(guest, `POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\nf000\r\n`)

    const answer = await guest.answer()
    guest.close()

    t.equal(answer?.field('x-overlapd-reason'), 'request_timeout')
    t.equal(agent.requests.length, seen)
    t.equal(agent.connections, connections, 'it holds no connection to the agent')
  })
}

t.test('a connection without a further request is closed without a word', async (t) => {
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/first'))
  const answer = await guest.answer()

  const rest = await guest.rest()

  t.equal(answer?.status, 200)
  t.equal(rest.length, 0)
})

t.test('a second head that never ends is sent away', async (t) => {
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/first'))
  await guest.answer()
  void drip(guest, 'GET /second HTTP/1.1\r\nX-Slow: ')

  const answer = await guest.answer()
  guest.close()

  t.equal(answer?.field('x-overlapd-reason'), 'request_timeout')
})

t.test(
  'a guest that does not read its answer holds the agent back, and then is cut off',
  async (t) => {
    const body = Buffer.alloc(32 * 1024 * 1024, 'x')
    agent.answer = () => plainAnswer(body)
    const guest = await RawConnection.open(worker.target)
    guest.socket.pause()
    await guest.write(get('/large'))
    const asked = await agent.recorded(agent.requests.length + 1)

    await asked.closed

    agent.answer = () => plainAnswer('ok')
    t.ok(asked.socket.bytesWritten < body.length * 2)
    t.ok(asked.socket.writableLength > 0 || asked.socket.destroyed, 'the agent was held back')
    t.equal((await askRaw(worker.target, get('/after')))?.status, 200)
    guest.close()
  },
)

t.test('a slow guest that reads on gets its whole answer', async (t) => {
  const body = Buffer.alloc(8 * 1024 * 1024, 'y')
  agent.answer = () => plainAnswer(body)
  const guest = await RawConnection.open(worker.target)
  guest.socket.pause()
  const before = agent.requests.length
  await guest.write(get('/large'))
  await agent.recorded(before + 1)

  guest.socket.resume()
  const answer = await guest.answer()

  agent.answer = () => plainAnswer('ok')
  t.equal(answer?.body.length, body.length)
  guest.close()
})

/** Writes a byte each millisecond until the connection ends: faster, it would reach the limit of bytes before that of time. */
async function drip(guest: RawConnection, start: string): Promise<void> {
  await guest.write(start)
  while (!guest.isEnded && guest.socket.writable) {
    await guest.write('a')
    await pause(1)
  }
}
