import t from 'tap'
import { chmod } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent, type RecordedRequest } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({
  agentSocket: agent.path,
  // Longer than this process may be held up while it has an answer to give.
  agent: { timeoutConnect: 1_500, timeoutHeaders: 750, timeoutBody: 750 },
})
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})
t.beforeEach(() => {
  agent.answer = () => plainAnswer('ok')
})

t.test('an agent that stays away is waited for, then the guest gets Retry-After', async (t) => {
  await agent.stopListening()

  const answer = await askRaw(worker.target, get('/'))
  await agent.listen()
  const after = await askRaw(worker.target, get('/'))

  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'agent_unreachable')
  t.match(answer?.field('retry-after'), /^\d+$/)
  t.not(answer?.field('connection'), 'close', 'the guest did nothing wrong')
  t.equal(after?.status, 200)
})

t.test('a request that comes while the agent restarts is answered by the new one', async (t) => {
  await agent.stopListening()
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/during'))

  await agent.listen()
  const answer = await guest.answer()

  t.equal(answer?.status, 200)
  guest.close()
})

t.test('a socket that may not be opened is unreachable at once', async (t) => {
  if (process.getuid?.() === 0) {
    t.comment('root may open every socket: shown by a path that is no socket instead')
  }
  await chmod(agent.path, 0)
  const other = await startWorker({
    agentSocket: process.getuid?.() === 0 ? '/proc/version' : agent.path,
    agent: { timeoutConnect: 50 },
  })
  t.teardown(() => other.stop())

  const answer = await askRaw(other.target, get('/'))

  await chmod(agent.path, 0o700)
  t.equal(answer?.field('x-overlapd-reason'), 'agent_unreachable')
})

t.test('an agent that sends nothing times out, and the guest is not left waiting', async (t) => {
  agent.answer = () => undefined

  const answer = await askRaw(worker.target, get('/'))

  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'agent_timeout')
  await agent.requests.at(-1)!.closed
})

const broken: Readonly<Record<string, string>> = {
  'is not HTTP': 'hello\r\n\r\n',
  'has no status': 'HTTP/1.1 \r\n\r\n',
  'has a status out of range': 'HTTP/1.1 799 X\r\nContent-Length: 0\r\n\r\n',
  'has two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
  'has a length and chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'has a control in a header': 'HTTP/1.1 200 OK\r\nETag: a\x01b\r\nContent-Length: 0\r\n\r\n',
  'changes the protocol':
    'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
}
for (const [what, bytes] of Object.entries(broken)) {
  t.test(`an answer that ${what} becomes 502`, async (t) => {
    agent.answer = () => bytes

    const answer = await askRaw(worker.target, get('/'))

    t.equal(answer?.status, 502)
    t.equal(answer?.field('x-overlapd-reason'), 'agent_broken_answer')
    t.equal(
      ((agent.answer = () => plainAnswer('ok')), await askRaw(worker.target, get('/')))?.status,
      200,
    )
  })
}

t.test(
  'a request whose connection was lost without an answer is sent again for GET, a few times, and never for POST',
  async (t) => {
    const retries = (): Promise<number> => worker.metric('overlapd_proxy_agent_retries_total')
    const retriesBefore = await retries()
    const lose = ({ socket }: RecordedRequest): undefined => {
      socket.destroy()
    }
    agent.answer = (request) => {
      agent.answer = () => plainAnswer('second')
      return lose(request)
    }
    const seen = agent.requests.length
    const recovered = await askRaw(worker.target, get('/'))
    agent.answer = (request) => lose(request)

    const lost = await askRaw(worker.target, get('/'))
    const afterGets = agent.requests.length
    const post = await askRaw(
      worker.target,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
    )

    t.equal(recovered?.body.toString(), 'second')
    t.equal(lost?.field('x-overlapd-reason'), 'agent_broken_answer')
    t.equal(afterGets - seen, 2 + 4)
    t.equal(post?.field('x-overlapd-reason'), 'agent_broken_answer')
    t.equal(agent.requests.length - afterGets, 1)
    t.equal((await retries()) - retriesBefore, 1 + 3)
  },
)

t.test('an answer of which no head has come is requested again, but not for POST', async (t) => {
  const seen = agent.requests.length
  const breakOff = ({ socket }: RecordedRequest): undefined => {
    socket.end('HTTP/1.1 200 OK\r\nContent-Le')
  }
  agent.answer = (request) => {
    agent.answer = () => plainAnswer('second')
    return breakOff(request)
  }

  const recovered = await askRaw(worker.target, get('/'))
  const afterGet = agent.requests.length
  agent.answer = breakOff
  const post = await askRaw(
    worker.target,
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx',
  )

  t.equal(recovered?.body.toString(), 'second')
  t.equal(afterGet - seen, 2)
  t.equal(post?.field('x-overlapd-reason'), 'agent_broken_answer')
  t.equal(agent.requests.length - afterGet, 1)
})

t.test(
  'an agent that dies with a connection it has taken gets the request when it is back',
  async (t) => {
    const seen = agent.requests.length
    agent.answer = ({ socket }) => {
      socket.destroy()
      if (agent.requests.length - seen < 3) return undefined
      agent.answer = () => plainAnswer('back')
      void agent.stopListening().then(() => agent.listen())
      return undefined
    }

    const answer = await askRaw(worker.target, get('/'))

    t.equal(answer?.body.toString(), 'back')
    t.equal(agent.requests.length - seen, 4)
  },
)

for (const [framing, head, httpVersion] of [
  ['a length', 'Content-Length: 100', '1.1'],
  ['chunks', 'Transfer-Encoding: chunked', '1.1'],
  ['chunks, to HTTP/1.0', 'Transfer-Encoding: chunked', '1.0'],
] as const) {
  t.test(`an answer with ${framing} that breaks off is never taken for a whole one`, async (t) => {
    agent.answer = ({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n5\r\npart1\r\n`)
      return undefined
    }
    const guest = await RawConnection.open(worker.target)
    await guest.write(`GET / HTTP/${httpVersion}\r\nHost: a\r\n\r\n`)
    await guest.received(60)
    const asked = agent.requests.length

    agent.requests.at(-1)!.socket.destroy()
    const rest = await guest.rest()

    t.match(rest.toString(), /part1/, 'a part had come')
    t.notMatch(rest.toString(), /\r\n0\r\n\r\n$/)
    t.ok(guest.isReset, 'the connection is reset, not closed as if all were said')
    t.equal(agent.requests.length, asked, 'nothing is asked again that the guest has a part of')
  })
}

t.test('an answer that stalls in the middle is cut off', async (t) => {
  agent.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'
  const guest = await RawConnection.open(worker.target)
  await guest.write(get('/'))

  await guest.rest()

  t.ok(guest.isReset)
})

t.test('answers are relayed as they are, with nothing of the hop between', async (t) => {
  const binary = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) & 0xff))
  agent.answer = () =>
    plainAnswer(
      binary,
      'Content-Encoding: gzip',
      'ETag: "x"',
      'Cache-Control: no-cache',
      'Server: nova',
      'Set-Cookie: a=b',
      'X-Instance-ID: secret',
      'X-OpenStack-Request-Id: req-1',
      'Connection: X-Foo',
      'Keep-Alive: timeout=1',
    )

  const answer = await askRaw(worker.target, get('/user_data'))

  t.equal(answer?.status, 200)
  t.ok(answer?.body.equals(binary))
  t.strictSame(answer?.fields.map(([name]) => name.toLowerCase()).sort(), [
    'cache-control',
    'connection',
    'content-encoding',
    'content-length',
    'content-type',
    'date',
    'etag',
    'keep-alive',
    'x-request-id',
  ])
})

t.test('statuses and refusals of the agent are relayed and counted', async (t) => {
  for (const status of [200, 201, 204, 301, 304, 400, 403, 404, 409, 429, 500, 503]) {
    agent.answer = () =>
      `HTTP/1.1 ${status} Whatever\r\nX-Overlapd-Reason: no_port\r\nRetry-After: 7\r\n` +
      (status === 204 || status === 304 ? '\r\n' : 'Content-Length: 2\r\n\r\nab')

    const answer = await askRaw(worker.target, get('/'))

    t.equal(answer?.status, status)
    t.equal(answer?.field('x-overlapd-reason'), 'no_port')
    t.equal(answer?.field('retry-after'), '7')
  }
  t.equal(await worker.metric('overlapd_proxy_agent_refusals_total', { reason: 'no_port' }), 12)
})

t.test('an agent that closes after every answer serves as well', async (t) => {
  const connections = agent.connections
  agent.answer = ({ socket }) => {
    socket.end(plainAnswer('closing', 'Connection: close'))
    return undefined
  }
  const guest = await RawConnection.open(worker.target)

  for (let index = 0; index < 5; index += 1) {
    await guest.write(get('/'))
    t.equal((await guest.answer())?.body.toString(), 'closing')
  }
  guest.close()

  t.equal(agent.connections - connections >= 4, true)
})

t.test('a body that ends with the connection reaches every version of HTTP', async (t) => {
  agent.answer = ({ socket }) => {
    socket.end('HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end')
    return undefined
  }

  const modern = await askRaw(worker.target, get('/'))
  const old = await askRaw(worker.target, 'GET / HTTP/1.0\r\n\r\n')

  t.equal(modern?.field('transfer-encoding'), 'chunked')
  t.equal(modern?.body.toString(), 'until the end')
  t.equal(old?.field('transfer-encoding'), undefined)
  t.equal(old?.body.toString(), 'until the end')
})

t.test('interim answers of the agent stay with us', async (t) => {
  agent.answer = () => `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${plainAnswer('ok').toString()}`

  const answer = await askRaw(worker.target, get('/'))

  t.equal(answer?.status, 200)
})

t.test('HEAD gets the length and no body', async (t) => {
  agent.answer = ({ method }) =>
    method === 'HEAD' ? 'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n' : plainAnswer('ok')
  const guest = await RawConnection.open(worker.target)

  await guest.write('HEAD /openstack HTTP/1.1\r\nHost: a\r\n\r\n')
  const head = await guest.answer({ isHead: true })
  await guest.write(get('/'))
  const next = await guest.answer()
  guest.close()

  t.equal(head?.field('content-length'), '12345')
  t.equal(next?.body.toString(), 'ok')
})

t.test('unexpected bytes on an idle connection are no answer to the next guest', async (t) => {
  agent.answer = () => Buffer.concat([plainAnswer('mine'), plainAnswer('stray')])

  const first = await askRaw(worker.target, get('/first'))
  agent.answer = () => plainAnswer('honest')
  const second = await askRaw(worker.target, get('/second'))

  t.equal(first?.body.toString(), 'mine')
  t.equal(second?.body.toString(), 'honest')
})

t.test("an error page of Neutron's agent, whose lines end in bare LF, is relayed", async (t) => {
  const page = 'HTTP/1.1 404 Not Found\nContent-Type: text/plain\nContent-Length: 4\n\na\nb\n'
  // That agent never keeps a connection; those of the tests before are kept.
  await agent.stopListening()
  await agent.listen()
  agent.answer = ({ socket }) => {
    socket.end(page)
    return undefined
  }
  const whole = await askRaw(worker.target, get('/'))
  agent.answer = ({ socket }) => {
    void dribble(socket, page)
    return undefined
  }
  const dribbled = await askRaw(worker.target, get('/'))

  for (const answer of [whole, dribbled]) {
    t.equal(answer?.status, 404)
    t.equal(answer?.field('content-type'), 'text/plain')
    t.equal(answer?.body.toString(), 'a\nb\n')
  }
})

async function dribble(socket: Socket, text: string): Promise<void> {
  for (const byte of text) {
    await new Promise((resolve) => socket.write(byte, resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.end()
}
