import t from 'tap'
import { askRaw, get } from '../support/raw-http.ts'
import { plainAnswer, RecordingAgent } from '../support/recording-agent.ts'
import {
  networkIdentity,
  ovnIdentity,
  routerIdentity,
  startWorker,
  testNetworkId,
  testRouterId,
} from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({
  agentSocket: agent.path,
  identities: [routerIdentity, networkIdentity, ovnIdentity],
})
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

const arrival = /^x-overlapd-arrival: 64 \d+\r\n/m

/** What the agent got, without the TCP port that the kernel chose. */
function received(): string {
  const text = agent.requests.at(-1)!.bytes.toString('latin1')
  return text.replace(arrival, 'x-overlapd-arrival\r\n')
}

/** In a router's namespace the interface counts, and loopback is no port of a router. */
const cameOverLoopback = 'x-overlapd-ingress-port: other'

t.test('the agent gets the identity of the socket and not a byte besides', async (t) => {
  const expected = [
    ['x-neutron-router-id', testRouterId],
    ['x-neutron-network-id', testNetworkId],
    ['x-ovn-network-id', testNetworkId],
  ] as const
  for (const [index, [name, id]] of expected.entries()) {
    const answer = await askRaw(worker.targets[index]!, get('/openstack'))

    const requestId = answer?.field('x-request-id')
    t.match(requestId, /^[0-9a-z-]{8,32}$/)
    t.equal(
      received(),
      [
        'GET /openstack HTTP/1.1',
        'Host: 169.254.169.254',
        `${name}: ${id}`,
        'x-forwarded-for: 127.0.0.1',
        ...(index === 0 ? [cameOverLoopback] : []),
        'x-overlapd-arrival',
        'x-overlapd-guest-host: 169.254.169.254',
        `x-request-id: ${requestId}`,
        'Connection: keep-alive',
        '',
        '',
      ].join('\r\n'),
    )
  }
})

/** Names a guest may try, and the class each is counted under. */
const forgeries: Readonly<Record<string, string>> = {
  'X-Neutron-Router-ID': 'neutron',
  'X-Neutron-Network-ID': 'neutron',
  'X-OVN-Network-ID': 'ovn',
  'X-Overlapd-Source-MAC': 'overlapd',
  'X-Overlapd-Ingress-Port': 'overlapd',
  'X-Overlapd-Reason': 'overlapd',
  'X-Forwarded-For': 'forwarded',
  'X-Forwarded-Host': 'forwarded',
  Forwarded: 'forwarded',
  'X-Real-IP': 'forwarded',
  'X-Instance-ID': 'instance',
  'X-Instance-ID-Signature': 'instance',
  'X-Tenant-ID': 'instance',
  'X-Metadata-Provider': 'metadata_provider',
  'X-Metadata-Provider-Signature': 'metadata_provider',
  'X-Request-ID': 'request_id',
}

const spellings: Readonly<Record<string, (name: string) => string>> = {
  'as documented': (name) => name,
  'in lower case': (name) => name.toLowerCase(),
  'in odd case': (name) =>
    name.replaceAll(
      /..?/g,
      ([first = '', second = '']) => first.toLowerCase() + second.toUpperCase(),
    ),
  'with underscores': (name) => name.replaceAll('-', '_'),
}

const values = [
  '10.0.0.99',
  '10.0.0.99, 10.0.0.98',
  'for=10.0.0.99;by=x',
  '',
  '\xff\xfe',
  testNetworkId,
]

t.test('a forged identity header has nowhere to go, however it is spelled', async (t) => {
  for (const [name, header] of Object.entries(forgeries)) {
    for (const [how, spell] of Object.entries(spellings)) {
      const before = await worker.metric('overlapd_proxy_forged_headers_total', { header })
      const forged = values.map((value) => `${spell(name)}: ${value}`)

      const answer = await askRaw(worker.target, get('/latest', ...forged))

      const after = await worker.metric('overlapd_proxy_forged_headers_total', { header })
      t.equal(answer?.status, 200, `${name} ${how} is no reason to refuse`)
      t.equal(received(), honest(answer?.field('x-request-id'), header === 'forwarded'))
      t.equal(after - before, forged.length, 'each copy is counted')
    }
  }
})

t.test('a Connection header that names identity headers does not take ours away', async (t) => {
  const answer = await askRaw(
    worker.target,
    get('/latest', 'Connection: X-Neutron-Router-ID, X-Forwarded-For, close'),
  )

  t.equal(received(), honest(answer?.field('x-request-id')))
})

t.test('identity headers in the trailer of a chunked body go nowhere', async (t) => {
  const answer = await askRaw(
    worker.target,
    'POST /latest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '3\r\nabc\r\n0\r\nX-Forwarded-For: 10.9.9.9\r\nX-Neutron-Router-ID: foreign\r\n\r\n',
  )

  const request = agent.requests.at(-1)!
  t.equal(answer?.status, 200)
  t.strictSame(request.valuesOf('x-forwarded-for'), ['127.0.0.1'])
  t.strictSame(request.valuesOf('x-neutron-router-id'), [testRouterId])
  t.equal(request.body.toString(), 'abc')
  t.notMatch(request.bytes.toString('latin1'), /10\.9\.9\.9|foreign/)
})

t.test('the answer carries our request id, not one of the guest or the agent', async (t) => {
  agent.answer = () => plainAnswer('ok', 'X-Request-ID: from-agent', 'X-Instance-ID: secret')

  const answer = await askRaw(worker.target, get('/latest', 'X-Request-ID: from-guest'))

  agent.answer = () => plainAnswer('ok')
  const ids = answer?.fields.filter(([name]) => name.toLowerCase() === 'x-request-id')
  t.strictSame(
    ids?.map(([, value]) => value),
    agent.requests.at(-1)!.valuesOf('x-request-id'),
  )
  t.notMatch(answer?.head, /from-guest|from-agent|secret/)
})

function honest(requestId: string | undefined, isForwarded = false): string {
  return [
    'GET /latest HTTP/1.1',
    'Host: 169.254.169.254',
    `x-neutron-router-id: ${testRouterId}`,
    'x-forwarded-for: 127.0.0.1',
    cameOverLoopback,
    'x-overlapd-arrival',
    'x-overlapd-guest-host: 169.254.169.254',
    ...(isForwarded ? ['x-overlapd-guest-forwarded: 1'] : []),
    `x-request-id: ${requestId}`,
    'Connection: keep-alive',
    '',
    '',
  ].join('\r\n')
}
