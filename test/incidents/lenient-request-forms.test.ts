// Shells and old libraries end lines in LF alone or name the metadata address in an absolute target; both got 400, haproxy serves
// them. A client that speaks HTTP/2 without asking got 400 without a hint. Right: 200, and 505 with a reason code.
import t from 'tap'
import { askRaw, get } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import { startWorker } from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
agent.answer = ({ method }) => plainAnswer(method === 'HEAD' ? '' : 'ok')
const worker = await startWorker({ agentSocket: agent.path })
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

const absolute = (url: string): string => get(url)
const served: readonly (readonly [what: string, bytes: string, target: string])[] = [
  ['bare LF', 'GET /a HTTP/1.0\n\n', '/a'],
  ['bare LF with fields', 'GET /a HTTP/1.1\nHost: a\nAccept: b\n\n', '/a'],
  ['bare LF here and there', 'GET /a HTTP/1.1\r\nHost: a\nAccept: b\r\n\n', '/a'],
  ['bare LF in HEAD', 'HEAD /a HTTP/1.1\nHost: a\n\n', '/a'],
  ['the address in the target', absolute('http://169.254.169.254/a?b=c'), '/a?b=c'],
  ['with its port', absolute('HTTP://169.254.169.254:80/a'), '/a'],
  ['without a path', absolute('http://169.254.169.254'), '/'],
  ['with a query alone', absolute('http://169.254.169.254?a'), '/?a'],
  ['the IPv6 address', absolute('http://[fe80::a9fe:a9fe]/a'), '/a'],
  ['the name of EC2', absolute('http://instance-data/latest'), '/latest'],
]
for (const [what, bytes, target] of served) {
  t.test(`${what} is served`, async (t) => {
    const answer = await askRaw(worker.target, bytes)
    t.equal(answer?.status, 200)
    t.equal(agent.requests.at(-1)?.target, target)
    if (bytes.includes('\n\n')) t.equal(answer?.field('connection'), 'close')
  })
}

const refused: readonly (readonly [what: string, bytes: string, status: number, reason: string])[] =
  [
    [
      'bare LF before a body',
      'POST / HTTP/1.1\nHost: a\nContent-Length: 1\n\na',
      400,
      'malformed_request',
    ],
    [
      'bare LF with a length',
      'GET / HTTP/1.1\nHost: a\nContent-Length: 1\n\na',
      400,
      'malformed_request',
    ],
    [
      'bare LF before a second request',
      `GET / HTTP/1.1\r\nHost: a\n\n${get('/2')}`,
      400,
      'malformed_request',
    ],
    ['another host', absolute('http://example.com/'), 400, 'request_target_invalid'],
    ['another scheme', absolute('https://169.254.169.254/'), 400, 'request_target_invalid'],
    [
      'HTTP/2',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
      505,
      'http_version_unsupported',
    ],
  ]
for (const [what, bytes, status, reason] of refused) {
  t.test(`${what} is refused with its reason`, async (t) => {
    const before = agent.requests.length
    const answer = await askRaw(worker.target, bytes)
    t.equal(answer?.status, status)
    t.equal(answer?.field('x-overlapd-reason'), reason)
    t.equal(agent.requests.length, before)
  })
}
