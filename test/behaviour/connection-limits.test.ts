import t, { type Test } from 'tap'
import { connect } from 'node:net'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { networkIdentity, routerIdentity, startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
t.teardown(() => agent.close())

async function start(t: Test, limits: Parameters<typeof startWorker>[0]['limits']) {
  const worker = await startWorker({
    agentSocket: agent.path,
    limits: limits ?? {},
    // The first two listen for one scope, as the IPv4 and IPv6 sockets of a namespace do.
    identities: [routerIdentity, routerIdentity, networkIdentity],
  })
  t.teardown(() => worker.stop())
  return worker
}

t.test('a source may have so many requests served at once, and more wait their turn', async (t) => {
  const worker = await start(t, { connectionsPerSource: 3, connectionsPerNamespace: 100 })
  const [first, second, other] = worker.targets
  const before = agent.requests.length
  agent.answer = () => undefined
  const guests = await Promise.all(
    [first, first, second, first, second].map(async (target) => await RawConnection.open(target!)),
  )
  for (const guest of guests) await guest.write(get('/held'))
  await agent.recorded(before + 3)

  agent.answer = () => plainAnswer('other')
  const elsewhere = await askRaw(other!, get('/'))
  t.equal(elsewhere?.status, 200, 'another scope has its own count')
  t.equal(agent.requests.length, before + 4, 'two wait')

  agent.answer = () => plainAnswer('late')
  for (const { socket } of agent.requests.slice(before, before + 3)) {
    socket.write(plainAnswer('first'))
  }
  const answers = await Promise.all(guests.map((guest) => guest.answer()))
  t.strictSame(
    answers.map((answer) => String(answer?.body)).toSorted((a, b) => a.localeCompare(b)),
    ['first', 'first', 'first', 'late', 'late'],
  )
  t.equal(await worker.metric('overlapd_proxy_connections_refused_total'), 0)
  for (const guest of guests) guest.close()
})

t.test('in a full namespace the source that holds most gives way to a newcomer', async (t) => {
  const worker = await start(t, { connectionsPerNamespace: 4 })
  const held: RawConnection[] = []
  for (const localAddress of ['127.0.0.1', '127.0.0.2', '127.0.0.2', '127.0.0.2']) {
    held.push(await openFrom(localAddress, worker.target))
  }
  for (const guest of held) {
    await guest.write(get('/held'))
    t.equal((await guest.answer())?.status, 200)
  }

  const newcomer = await openFrom('127.0.0.3', worker.target)
  await newcomer.write(get('/new'))
  const answer = await newcomer.answer()
  const rest = await held[1]!.rest()

  t.equal(answer?.status, 200)
  t.equal(rest.length, 0, 'the oldest of the greediest has ended')
  t.equal(
    await worker.metric('overlapd_proxy_connections_evicted_total', { limit: 'namespace' }),
    1,
  )
  await held[0]!.write(get('/still'))
  t.equal((await held[0]!.answer())?.status, 200, 'who holds little is left alone')
  for (const guest of [...held, newcomer]) guest.close()
})

t.test(
  'whoever holds most itself, and nothing idle, is refused once it has sent a request',
  async (t) => {
    const worker = await start(t, { connectionsPerNamespace: 2 })
    const before = agent.requests.length
    agent.answer = () => undefined
    const busy = [await RawConnection.open(worker.target), await RawConnection.open(worker.target)]
    for (const guest of busy) await guest.write(get('/busy'))
    await agent.recorded(before + 2)

    const refused = await RawConnection.open(worker.target)
    await refused.write(get('/'))
    const answer = await refused.answer()
    const elsewhere = askRaw(worker.targets[2]!, get('/'))
    await agent.recorded(before + 3)
    agent.requests.at(-1)?.socket.write(plainAnswer('ok'))
    agent.answer = () => plainAnswer('ok')

    t.equal(answer?.status, 503)
    t.equal(answer?.field('x-overlapd-reason'), 'too_many_connections')
    t.match(answer?.field('retry-after'), /^\d+$/)
    t.equal((await elsewhere)?.status, 200, 'another namespace is not concerned')
    t.equal(
      await worker.metric('overlapd_proxy_connections_refused_total', { limit: 'namespace' }),
      1,
    )
    for (const guest of [...busy, refused]) guest.close()
  },
)

t.test(
  'a connection may send so many requests, and the last answer announces that it is the last',
  async (t) => {
    const worker = await start(t, { requestsPerConnection: 3 })
    const guest = await RawConnection.open(worker.target)

    const connections: (string | undefined)[] = []
    for (let index = 0; index < 3; index += 1) {
      await guest.write(get('/'))
      connections.push((await guest.answer())?.field('connection'))
    }
    const rest = await guest.rest()

    t.strictSame(connections, ['keep-alive', 'keep-alive', 'close'])
    t.equal(rest.length, 0)
  },
)

t.test('heads and bodies at their limit pass and beyond it are refused', async (t) => {
  const worker = await start(t, { headBytes: 4_096, bodyBytes: 1_000 })
  const field = (bytes: number) => `X-Long: ${'a'.repeat(bytes)}`
  const post = (framing: string, body: string) =>
    `POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${body}`
  const chunks = (bytes: number) => {
    const chunk = `64\r\n${'b'.repeat(100)}\r\n`
    return `${chunk.repeat(bytes / 100)}0\r\n\r\n`
  }
  const cases = [
    ['a head within', get('/', field(3_500)), undefined],
    ['a head beyond', get('/', field(5_000)), 'header_too_large'],
    ['a target beyond', get(`/${'a'.repeat(5_000)}`), 'header_too_large'],
    ['a head without end', `GET / HTTP/1.1\r\nX: ${'a'.repeat(100_000)}`, 'header_too_large'],
    ['more fields than any client has', get('/', ...Array(200).fill('a: b')), 'header_too_large'],
    ['a body within', post('Content-Length: 1000', 'b'.repeat(1_000)), undefined],
    ['a body beyond', post('Content-Length: 1001', 'b'.repeat(1_001)), 'body_too_large'],
    ['a body far beyond', post('Content-Length: 9000000', 'b'.repeat(9_000)), 'body_too_large'],
    ['chunks within', post('Transfer-Encoding: chunked', chunks(1_000)), undefined],
    ['chunks beyond', post('Transfer-Encoding: chunked', chunks(1_100)), 'body_too_large'],
    ['chunks far beyond', post('Transfer-Encoding: chunked', chunks(900_000)), 'body_too_large'],
    [
      'chunk extensions without end',
      post('Transfer-Encoding: chunked', `1;${'x'.repeat(50_000)}`),
      'body_too_large',
    ],
  ] as const
  for (const [what, bytes, reason] of cases) {
    const answer = await askRaw(worker.target, bytes)

    t.equal(answer?.field('x-overlapd-reason'), reason, what)
    t.equal(answer?.status === 200, reason === undefined, what)
  }
})

t.test(
  'Expect: 100-continue is answered before the body, and not when it will be refused',
  async (t) => {
    const worker = await start(t, { bodyBytes: 1_000 })
    const expecting = (length: number) =>
      `POST /password HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`
    const guest = await RawConnection.open(worker.target)

    await guest.write(expecting(3))
    const go = await guest.answer()
    await guest.write('abc')
    const answer = await guest.answer()
    const tooLarge = await askRaw(worker.target, expecting(1_001))

    t.equal(go?.status, 100)
    t.equal(answer?.status, 200)
    t.equal(agent.requests.at(-1)!.body.toString(), 'abc')
    t.strictSame(agent.requests.at(-1)!.valuesOf('expect'), [])
    t.equal(tooLarge?.status, 413)
    guest.close()
  },
)

async function openFrom(
  localAddress: string,
  target: { host: string; tcpPort: number },
): Promise<RawConnection> {
  return await RawConnection.over(
    connect({ host: target.host, port: target.tcpPort, localAddress }),
  )
}
