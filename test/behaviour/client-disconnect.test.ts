import t from 'tap'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path, agent: { connections: 2 } })
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})
t.beforeEach(() => {
  agent.answer = () => plainAnswer('ok')
})

// An end without a reset may be that of the sending half alone.
for (const [how, leave] of [['resets', (guest: RawConnection) => guest.reset()]] as const) {
  t.test(`a guest that ${how} before the answer has its question withdrawn`, async (t) => {
    agent.answer = () => undefined
    const before = await worker.metric('overlapd_proxy_guest_disconnects_total')
    const guest = await RawConnection.open(worker.target)
    await guest.write(get('/slow'))
    const asked = await agent.recorded(agent.requests.length + 1)

    leave(guest)
    await asked.closed

    t.equal(await worker.metric('overlapd_proxy_guest_disconnects_total'), before + 1)
  })

  t.test(`a guest that ${how} in the middle of the answer stops the agent`, async (t) => {
    agent.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\npart'
    const guest = await RawConnection.open(worker.target)
    await guest.write(get('/large'))
    await guest.received(1)

    leave(guest)

    await agent.requests.at(-1)!.closed
    t.pass('the connection to the agent is closed')
  })
}

t.test(
  'a guest that leaves while its request waits for a connection is never looked up',
  async (t) => {
    agent.answer = () => undefined
    const seen = agent.requests.length
    const busy = await Promise.all([0, 1].map(() => RawConnection.open(worker.target)))
    for (const guest of busy) await guest.write(get('/busy'))
    await agent.recorded(seen + 2)
    const accepted = await worker.metric('overlapd_proxy_connections_total')
    const waiting = await RawConnection.open(worker.target)
    await waiting.write(get('/never'))
    while ((await worker.metric('overlapd_proxy_connections_total')) === accepted);
    // What had come before the connection was accepted is read a turn of the loop later.
    await worker.metric('overlapd_proxy_connections_total')
    const disconnects = await worker.metric('overlapd_proxy_guest_disconnects_total')

    waiting.reset()
    while ((await worker.metric('overlapd_proxy_guest_disconnects_total')) === disconnects);
    agent.answer = () => plainAnswer('ok')
    for (const { socket } of agent.requests.slice(-2)) socket.write(plainAnswer('late'))
    const answers = await Promise.all(busy.map((guest) => guest.answer()))
    const after = await askRaw(worker.target, get('/after'))
    for (const guest of busy) guest.close()

    t.strictSame(
      answers.map((answer) => answer?.body.toString()),
      ['late', 'late'],
    )
    t.equal(after?.status, 200)
    t.strictSame(
      agent.requests.slice(seen).map(({ target }) => target),
      ['/busy', '/busy', '/after'],
    )
  },
)

t.test('a guest that leaves in the middle of its body costs the agent nothing', async (t) => {
  const seen = agent.requests.length
  const open = await worker.metric('overlapd_proxy_connections_open')
  const guest = await RawConnection.open(worker.target)
  await guest.write('POST /password HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npart')

  guest.close()
  while ((await worker.metric('overlapd_proxy_connections_open')) > open);
  await askRaw(worker.target, get('/after'))

  t.strictSame(
    agent.requests.slice(seen).map(({ target }) => target),
    ['/after'],
  )
})

t.test('a thousand guests that come and leave at once leave nothing behind', async (t) => {
  agent.answer = () => undefined
  for (let round = 0; round < 10; round += 1) {
    const guests = await Promise.all(
      Array.from({ length: 100 }, () => RawConnection.open(worker.target)),
    )
    await Promise.all(guests.map((guest) => guest.write(get('/gone'))))
    for (const guest of guests) guest.reset()
  }
  agent.answer = () => plainAnswer('ok')
  while ((await worker.metric('overlapd_proxy_connections_open')) > 0);

  t.equal((await askRaw(worker.target, get('/after')))?.status, 200)
})
