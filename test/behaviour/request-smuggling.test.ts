import t from 'tap'
import { reasonRow, type ReasonCode } from '../../lib/runtime/reason-codes.ts'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({ agentSocket: agent.path })
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

/** What a smuggler wants to run under somebody else's name. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** Everything a request may be refused for, and the reason it must get. Each carries a second request behind it. */
const refused: readonly (readonly [what: string, bytes: string, reason: string])[] = [
  [
    'Content-Length twice',
    post('Content-Length: 3', 'Content-Length: 3') + 'abc',
    'ambiguous_framing',
  ],
  ['two lengths', post('Content-Length: 3', 'Content-Length: 4') + 'abc', 'ambiguous_framing'],
  ['a list of lengths', post('Content-Length: 3, 3') + 'abc', 'malformed_request'],
  ['a signed length', post('Content-Length: +3') + 'abc', 'malformed_request'],
  ['a negative length', post('Content-Length: -3') + 'abc', 'malformed_request'],
  ['a length past 64 bits', post('Content-Length: 99999999999999999999999'), 'malformed_request'],
  ['an empty length', post('Content-Length:'), 'malformed_request'],
  [
    'CL.TE',
    post('Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    'ambiguous_framing',
  ],
  [
    'TE.CL',
    post('Transfer-Encoding: chunked', 'Content-Length: 5') + '0\r\n\r\n',
    'ambiguous_framing',
  ],
  [
    'TE twice',
    post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    'ambiguous_framing',
  ],
  ['TE.TE obfuscated', post('Transfer-Encoding: xchunked') + '0\r\n\r\n', 'ambiguous_framing'],
  ['TE gzip, chunked', post('Transfer-Encoding: gzip, chunked') + '0\r\n\r\n', 'ambiguous_framing'],
  ['TE chunked, gzip', post('Transfer-Encoding: chunked, gzip') + '0\r\n\r\n', 'ambiguous_framing'],
  ['TE , chunked', post('Transfer-Encoding: ,chunked') + '0\r\n\r\n', 'ambiguous_framing'],
  ['TE identity', post('Transfer-Encoding: identity'), 'ambiguous_framing'],
  [
    'TE with a vertical tab',
    post('Transfer-Encoding: \x0bchunked') + '0\r\n\r\n',
    'malformed_request',
  ],
  [
    'TE in HTTP/1.0',
    'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'ambiguous_framing',
  ],
  ['TE folded', post('Transfer-Encoding:\r\n chunked') + '0\r\n\r\n', 'malformed_request'],
  ['a folded line', get('/', 'X-A: b\r\n c'), 'malformed_request'],
  ['a fold first of all', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 'malformed_request'],
  ['NUL in a value', get('/', 'X-A: a\0b'), 'malformed_request'],
  ['NUL in a name', get('/', 'X\0A: b'), 'malformed_request'],
  ['NUL in the path', 'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n', 'request_target_invalid'],
  ['a bare CR in a value', get('/', 'X-A: a\rb'), 'malformed_request'],
  ['a control in a value', get('/', 'X-A: a\x01b'), 'malformed_request'],
  ['bytes above ASCII in a name', get('/', 'X-\xe9: b'), 'malformed_request'],
  ['a line without a colon', get('/', 'X-A'), 'malformed_request'],
  ['bare LF throughout', 'GET / HTTP/1.1\nHost: a\n\n', 'malformed_request'],
  ['a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n'), 'malformed_request'],
  ['a negative chunk size', chunked('-3\r\nabc\r\n0\r\n\r\n'), 'malformed_request'],
  ['a chunk size past 64 bits', chunked('fffffffffffffffff\r\nabc'), 'malformed_request'],
  ['a chunk longer than it says', chunked('3\r\nabcdef\r\n0\r\n\r\n'), 'malformed_request'],
  ['bare LF between chunks', chunked('3\nabc\n0\n\n'), 'malformed_request'],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n', 'host_invalid'],
  ['two Hosts', get('/', 'Host: b'), 'host_invalid'],
  ['absolute-form of a likeness', get('http://169.254.169.254.example/'), 'request_target_invalid'],
  ['absolute-form with a user', get('http://a@169.254.169.254/'), 'request_target_invalid'],
  ['absolute-form of another port', get('http://169.254.169.254:81/'), 'request_target_invalid'],
  ['absolute-form of another host', get('http://other/latest'), 'request_target_invalid'],
  ['authority-form', get('other:80'), 'request_target_invalid'],
  ['asterisk-form', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'request_target_invalid'],
  ['CONNECT', 'CONNECT other:80 HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_supported'],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_supported'],
  ['SOURCE', 'SOURCE / HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_supported'],
  ['a method in lower case', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 'malformed_request'],
  ['an invented method', 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n', 'malformed_request'],
  ['HTTP/0.9', 'GET /\r\n\r\n', 'malformed_request'],
  ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 'malformed_request'],
  ['HTTP/2.0 in text', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'http_version_unsupported'],
  ['the HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http_version_unsupported'],
  ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'malformed_request'],
  ['another Expect', post('Expect: 200-ok', 'Content-Length: 3'), 'expectation_failed'],
  [
    'two Expects',
    post('Expect: 100-continue', 'Expect: x', 'Content-Length: 3'),
    'expectation_failed',
  ],
]

for (const [what, bytes, reason] of refused) {
  t.test(`${what} is refused as ${reason}, and nothing behind it runs`, async (t) => {
    const seen = agent.requests.length
    const before = await worker.metric('overlapd_proxy_refusals_total', { reason })
    const connection = await RawConnection.open(worker.target)

    void connection.write(bytes + smuggled)
    const answer = await connection.answer()
    const rest = (connection.socket.end(), await connection.rest())

    t.equal(answer?.field('x-overlapd-reason'), reason)
    const { status, fault } = reasonRow(reason as ReasonCode)
    t.equal(answer?.status, status)
    t.equal(fault, 'guest', 'it is the guest who is wrong')
    t.equal(answer?.field('connection'), 'close')
    t.equal(rest.length, 0, 'the refusal is the last that is said')
    t.equal(agent.requests.length, seen, 'the agent hears of none of it')
    t.equal(await worker.metric('overlapd_proxy_refusals_total', { reason }), before + 1)
  })
}

t.test('a body is never read as a request', async (t) => {
  const seen = agent.requests.length
  const connection = await RawConnection.open(worker.target)

  await connection.write(post(`Content-Length: ${smuggled.length}`) + smuggled)
  const first = await connection.answer()
  await connection.write(get('/after'))
  const second = await connection.answer()
  connection.close()

  t.equal(first?.status, 200)
  t.equal(second?.status, 200)
  t.strictSame(
    agent.requests.slice(seen).map(({ target }) => target),
    ['/', '/after'],
  )
  t.equal(agent.requests[seen]!.body.toString('latin1'), smuggled)
})

t.test('a chunked body reaches the agent with its length and without its chunks', async (t) => {
  const answer = await askRaw(
    worker.target,
    chunked('4;name=value\r\nGET \r\n5\r\n/ HTT\r\n0\r\nX-Trailer: x\r\n\r\n'),
  )

  const request = agent.requests.at(-1)!
  t.equal(answer?.status, 200)
  t.strictSame(request.valuesOf('content-length'), ['9'])
  t.strictSame(request.valuesOf('transfer-encoding'), [])
  t.strictSame(request.valuesOf('x-trailer'), [])
  t.equal(request.body.toString('latin1'), 'GET / HTT')
})

t.test('pipelined requests are forwarded one after the other and answered in order', async (t) => {
  const seen = agent.requests.length
  const paths = Array.from({ length: 20 }, (_, index) => `/pipelined/${index}`)
  const waiting: (() => void)[] = []
  agent.answer = ({ target, socket }) => {
    waiting.push(() =>
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`),
    )
    return undefined
  }
  const connection = await RawConnection.open(worker.target)

  await connection.write(paths.map((path) => get(path)).join(''))
  const bodies: string[] = []
  for (const [index] of paths.entries()) {
    await agent.recorded(seen + index + 1)
    t.equal(agent.requests.length, seen + index + 1, 'only one is under way')
    waiting.shift()?.()
    bodies.push((await connection.answer())!.body.toString())
  }
  connection.close()
  agent.answer = () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

  t.strictSame(bodies, paths)
})

t.test('garbage behind a good request is refused after the good answer', async (t) => {
  const connection = await RawConnection.open(worker.target)

  await connection.write(get('/good') + 'garbage\r\n\r\n')
  const first = await connection.answer()
  const second = await connection.answer()
  connection.socket.end()
  const rest = await connection.rest()

  t.equal(first?.status, 200)
  t.equal(second?.field('x-overlapd-reason'), 'malformed_request')
  t.equal(rest.length, 0)
})

t.test('however many requests are sent ahead, all are answered', async (t) => {
  const seen = agent.requests.length
  const connection = await RawConnection.open(worker.target)

  void connection.write(get('/flood').repeat(1_000))
  let answers = 0
  while (answers < 1_000 && (await connection.answer())?.status === 200) answers += 1
  connection.close()

  t.equal(answers, 1_000)
  t.equal(agent.requests.length - seen, 1_000)
})

t.test('an Upgrade is ignored and ends the connection with its answer', async (t) => {
  const seen = agent.requests.length
  const connection = await RawConnection.open(worker.target)

  await connection.write(get('/latest', 'Connection: Upgrade', 'Upgrade: websocket') + smuggled)
  const answer = await connection.answer()
  const rest = await connection.rest()

  const sent = agent.requests.slice(seen)
  t.equal(answer?.status, 200)
  t.equal(answer?.field('connection'), 'close')
  t.equal(rest.length, 0)
  t.strictSame(
    sent.map(({ target }) => target),
    ['/latest'],
  )
  t.strictSame(sent[0]!.valuesOf('upgrade'), [])
})

t.test('a head that comes byte by byte is one request', async (t) => {
  const seen = agent.requests.length
  const connection = await RawConnection.open(worker.target)

  for (const byte of post('Content-Length: 3', 'X-Forwarded-For: 1.2.3.4') + 'abc') {
    await connection.write(byte)
  }
  const answer = await connection.answer()
  connection.close()

  t.equal(answer?.status, 200)
  t.equal(agent.requests.length, seen + 1)
  t.equal(agent.requests.at(-1)!.body.toString(), 'abc')
  t.strictSame(agent.requests.at(-1)!.valuesOf('x-forwarded-for'), ['127.0.0.1'])
})

t.test('odd but lawful requests pass with their target unchanged', async (t) => {
  const targets = [
    '/',
    '//openstack//latest/',
    '/a/../b/./c',
    '/%2e%2e/%2F%00',
    '/?a=b&&c?d',
    '/a#b',
    '/;x=y',
    '/!$&\'()*+,=:@~|\\^`{}<>"[]',
    `/${'a'.repeat(8_000)}`,
  ]
  for (const target of targets) {
    const answer = await askRaw(worker.target, get(target))

    t.equal(answer?.status, 200, target.slice(0, 40))
    t.equal(agent.requests.at(-1)!.target, target)
  }
})

t.test(
  'bytes above ASCII in the path pass unchanged or are refused, as the parser has it',
  async (t) => {
    const seen = agent.requests.length

    const answer = await askRaw(worker.target, get('/caf\xe9\xff'))

    if (answer?.status === 200) t.equal(agent.requests.at(-1)!.target, '/caf\xe9\xff')
    else {
      t.equal(answer?.field('x-overlapd-reason'), 'request_target_invalid')
      t.equal(agent.requests.length, seen)
    }
  },
)

t.test('hosts and versions of real clients are served', async (t) => {
  const requests = [
    'GET / HTTP/1.1\r\nHost: [fe80::a9fe:a9fe%ens3]\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: [fe80::a9fe:a9fe%25ens3]:80\r\n\r\n',
    'GET / HTTP/1.1\r\nHost:\r\n\r\n',
    'GET / HTTP/1.1\r\nhOsT: x\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n',
    '\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n',
    'PUT /latest/api/token HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n',
  ]
  for (const bytes of requests) {
    const answer = await askRaw(worker.target, bytes)

    t.equal(answer?.status, 200, JSON.stringify(bytes))
  }
})

t.test('a refusal answers HEAD without a body and JSON to those that request it', async (t) => {
  const connection = await RawConnection.open(worker.target)
  void connection.write('HEAD * HTTP/1.1\r\nHost: a\r\n\r\n')

  const head = await connection.answer({ isHead: true })
  connection.socket.end()
  const rest = await connection.rest()
  const json = await askRaw(worker.target, get('*', 'Accept: application/json'))

  t.equal(head?.status, 400)
  t.equal(rest.length, 0)
  t.match(JSON.parse(json!.body.toString()), {
    status: 400,
    reason: 'request_target_invalid',
    requestId: json!.field('x-request-id'),
  })
})

function post(...fields: string[]): string {
  return ['POST / HTTP/1.1', 'Host: a', ...fields, '', ''].join('\r\n')
}

function chunked(body: string): string {
  return post('Transfer-Encoding: chunked') + body
}
