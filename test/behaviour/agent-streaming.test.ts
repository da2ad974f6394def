import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { guestFields, startAgentForOneGuest, type OneGuest } from '../support/one-guest.ts'
import { RecordingUpstream, type AnswerUpstream } from '../support/recording-upstream.ts'

async function subject(
  t: Test,
  answer?: AnswerUpstream,
  config?: Readonly<Record<string, unknown>>,
): Promise<OneGuest & { upstream: RecordingUpstream }> {
  const upstream = await RecordingUpstream.start(answer)
  t.teardown(() => upstream.close())
  const options = { upstreams: [upstream.url], ...(config && { config }) }
  return { ...(await startAgentForOneGuest(t, options)), upstream }
}

const lines = guestFields.map(([name, value]) => `${name}: ${value}\r\n`).join('')

t.test('the request-target goes through byte for byte', async (t) => {
  const { agent, upstream } = await subject(t)
  const targets = [
    '/',
    '//',
    '/latest//meta-data/',
    '/a/../b/./c',
    '/%2e%2e/%2F?x=%20&y=a+b',
    '/?',
    '/openstack/latest?a[]=1;b|c^`{}',
    "/~!$&'()*,;=:@",
  ]
  for (const target of targets) await agent.ask(target, guestFields)
  t.strictSame(
    upstream.requests.map((request) => request.target),
    targets,
  )
})

t.test('a request-target that is no ASCII is refused', async (t) => {
  const { agent, upstream } = await subject(t)
  const answer = await agent.ask('/caf\u00e9', guestFields)
  t.equal(answer?.status, 400)
  t.equal(answer?.field('x-overlapd-reason'), 'request_target_invalid')
  t.equal(upstream.requests.length, 0)
})

t.test('methods go through as they are', async (t) => {
  const { agent, upstream } = await subject(t)
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'POST']) {
    const answer = await agent.ask('/latest', guestFields, { method })
    t.equal(answer?.status, 200, method)
  }
  t.strictSame(
    upstream.requests.map((request) => request.method),
    ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'POST'],
  )
})

t.test('bodies of any bytes come back as they are, still encoded', async (t) => {
  const packed = gzipSync('user data')
  const anyBytes = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
  const bodies: Record<string, [Buffer, Record<string, string>]> = {
    '/packed': [packed, { 'content-type': 'text/plain', 'content-encoding': 'gzip' }],
    '/binary': [anyBytes, { 'content-type': 'application/octet-stream' }],
    '/empty': [Buffer.alloc(0), { 'content-type': 'text/plain' }],
    '/large': [Buffer.alloc(3_000_000, 'x'), {}],
  }
  const { agent } = await subject(t, ({ target }, response) => {
    const [body, headers] = bodies[target] ?? [Buffer.from('?'), {}]
    response.writeHead(200, { ...headers, 'content-length': body.length }).end(body)
  })
  for (const [target, [body, headers]] of Object.entries(bodies)) {
    const answer = await agent.ask(target, guestFields)
    t.equal(answer?.status, 200)
    t.ok(answer?.body.equals(body), target)
    for (const [name, value] of Object.entries(headers)) t.equal(answer?.field(name), value)
  }
})

t.test('of the answer’s headers only those that concern the guest come back', async (t) => {
  const { agent } = await subject(t, (_request, response) => {
    response.writeHead(200, {
      'content-type': 'text/plain',
      etag: '"1"',
      server: 'nova',
      'set-cookie': ['a=1', 'b=2'],
      'x-overlapd-reason': 'forged',
      'x-request-id': 'novas',
      'x-instance-id': 'leaked',
    })
    response.end('ok')
  })
  const answer = await agent.ask('/latest', guestFields)
  t.equal(answer?.field('etag'), '"1"')
  for (const name of ['server', 'set-cookie', 'x-overlapd-reason', 'x-instance-id']) {
    t.equal(answer?.field(name), undefined, name)
  }
  t.not(answer?.field('x-request-id'), 'novas')
})

t.test('a redirection is passed on, not followed', async (t) => {
  const { agent, upstream } = await subject(t, (_request, response) => {
    response.writeHead(302, { location: 'http://192.0.2.1/' }).end()
  })
  const answer = await agent.ask('/latest', guestFields)
  t.equal(answer?.status, 302)
  t.equal(answer?.field('location'), 'http://192.0.2.1/')
  t.equal(upstream.requests.length, 1)
})

t.test('HEAD has the length and no body, on a connection that goes on', async (t) => {
  const { agent } = await subject(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '5' }).end('hello')
  })
  const connection = await agent.connect()
  for (let round = 0; round < 2; round += 1) {
    void connection.write(`HEAD /latest HTTP/1.1\r\n${lines}\r\n`)
    const head = await connection.answer({ isHead: true })
    t.equal(head?.field('content-length'), '5')
    void connection.write(`GET /latest HTTP/1.1\r\n${lines}\r\n`)
    t.equal((await connection.answer())?.body.toString(), 'hello')
  }
  connection.close()
})

t.test('a body goes through whole, with its length, whether or not it had one', async (t) => {
  const { agent, upstream } = await subject(t)
  const body = 'p'.repeat(60_000)
  await agent.ask('/openstack/latest/password', guestFields, { method: 'POST', body })
  const connection = await agent.connect()
  await connection.write(
    `POST /openstack/latest/password HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\n`,
  )
  await connection.write('3\r\nabc\r\n')
  await connection.write('3\r\ndef\r\n0\r\n\r\n')
  t.equal((await connection.answer())?.status, 200)
  connection.close()
  t.equal(upstream.requests[0]?.body.toString(), body)
  t.equal(upstream.requests[0]?.headers['content-length'], '60000')
  t.equal(upstream.requests[1]?.body.toString(), 'abcdef')
  t.equal(upstream.requests[1]?.headers['content-length'], '6')
  t.equal(upstream.requests[1]?.headers['transfer-encoding'], undefined)
})

t.test('a body that is too large is refused, announced or not', async (t) => {
  const limits = { body_bytes: 10, timeout_drain: '100ms' }
  const { agent, upstream } = await subject(t, undefined, { limits })
  const announced = await agent.ask('/x', guestFields, { method: 'POST', body: 'x'.repeat(11) })
  t.equal(announced?.field('x-overlapd-reason'), 'body_too_large')
  const connection = await agent.connect()
  void connection.write(
    `POST /x HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\nb\r\n${'x'.repeat(11)}\r\n0\r\n\r\n`,
  )
  t.equal((await connection.answer())?.field('x-overlapd-reason'), 'body_too_large')
  connection.close()
  t.equal(upstream.requests.length, 0)
})

t.test('a guest that leaves takes its request to compute with it', async (t) => {
  let left: (() => void) | undefined
  const hasLeft = new Promise<void>((resolve) => (left = resolve))
  const { agent, upstream } = await subject(t, (_request, response) => {
    response.on('close', () => left?.())
  })
  const connection = await agent.connect()
  await connection.write(`GET /slow HTTP/1.1\r\n${lines}\r\n`)
  while (upstream.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
  connection.close()
  await hasLeft
  t.pass('the upstream saw the connection close')
  t.equal(agent.log.filter((line) => line['message'] === 'Request refused').length, 0)
})

t.test('compute that does not answer in time is given up', async (t) => {
  const compute = { timeout_headers: '100ms' }
  const { agent } = await subject(t, () => undefined, { compute })
  const answer = await agent.ask('/slow', guestFields)
  t.equal(answer?.status, 503)
  t.equal(answer?.field('x-overlapd-reason'), 'compute_timeout')
})

t.test('compute reads as fast as the guest, and no faster', async (t) => {
  const size = 64 * 1024 * 1024
  let written = 0
  const { agent } = await subject(t, async (_request, response) => {
    response.setMaxListeners(0)
    response.writeHead(200, { 'content-length': String(size) })
    const chunk = Buffer.alloc(64 * 1024)
    while (written < size && !response.destroyed) {
      written += chunk.length
      if (!response.write(chunk))
        await Promise.race([once(response, 'drain'), once(response, 'close')])
    }
  })
  const connection = await agent.connect()
  connection.socket.pause()
  await connection.write(`GET /large HTTP/1.1\r\n${lines}\r\n`)
  // Once nothing has been written for many turns of the event loop, every buffer on the way is full.
  let before = -1
  while (before !== written) {
    before = written
    for (let turn = 0; turn < 2_000; turn += 1)
      await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(written > 0)
  t.ok(written < size / 4, `${written} bytes are on their way`)
  connection.close()
})
