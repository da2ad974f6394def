import t from 'tap'
import { connect } from 'node:net'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import { askRaw, get, RawConnection, type RawTarget } from '../support/raw-http.ts'
import { RecordingAgent } from '../support/recording-agent.ts'
import { SeededRandom } from '../support/random.ts'
import {
  networkIdentity,
  routerIdentity,
  startWorker,
  testNetworkId,
  testRouterId,
} from '../support/start-worker.ts'

const agent = await RecordingAgent.start()
const worker = await startWorker({
  agentSocket: agent.path,
  identities: [routerIdentity, networkIdentity],
  limits: { timeoutHead: 100, timeoutRequest: 200, timeoutKeepAlive: 100 },
})
t.teardown(async () => {
  await worker.stop()
  await agent.close()
})

const seed = Number(process.env['OVERLAPD_TEST_SEED'] ?? 20_260_701)
const rounds = 2_000

/** What guests really send, and what attackers build upon. */
const grown: readonly string[] = [
  get('/openstack/latest/meta_data.json', 'User-Agent: Cloud-Init/24.4', 'Accept: */*'),
  get('/latest/meta-data/', 'X-Forwarded-For: 10.0.0.9', 'X-Neutron-Router-ID: evil'),
  'POST /openstack/latest/password HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
  'HEAD /openstack HTTP/1.1\r\nHost: [fe80::a9fe:a9fe%ens3]\r\nConnection: close\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx',
]

/** Bytes that parsers trip over. */
const spice: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '%00',
  '\xff',
  '\x7f',
  '\r\n\r\n',
  '\n\n',

  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/9.9',
  'GET ',
  'CONNECT ',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 99999999\r\n',
  'Transfer-Encoding: chunked\r\n',

  'Host: b\r\n',
  'Connection: upgrade\r\nUpgrade: x\r\n',
  'Expect: x\r\n',
  'X-OVN-Network-ID: evil\r\n',

  '0\r\n\r\n',
  'ffffffff\r\n',
  '-1',
  '\x16\x03\x01',
  'a'.repeat(20_000),
  'A: b\r\n'.repeat(300),
]

t.test(`no bytes of a guest stop a worker or change who the guest is (seed ${seed})`, async (t) => {
  const numbers = new SeededRandom(seed)
  const random = (limit: number): number => numbers.below(limit)
  for (let round = 0; round < rounds; round += 50) {
    const batch = Array.from({ length: 50 }, () => ({
      target: worker.targets[random(2)]!,
      bytes: mutate(random),
      pieces: 1 + random(3),
      resets: random(4) === 0,
    }))
    await Promise.all(batch.map(attack))
  }

  t.ok(worker.isRunning)
  for (const request of agent.requests) {
    const sent = request.fields
      .map(([name]) => name.toLowerCase())
      .filter((name) => !framing.has(name) && !facts.has(name))
    const [scope] = sent.filter((name) => name.startsWith('x-neutron') || name.startsWith('x-ovn'))
    const isRouter = scope === 'x-neutron-router-id'
    const expected = isRouter ? testRouterId : testNetworkId
    const isHonest =
      sent.length === (isRouter ? 4 : 3) &&
      (!isRouter || request.valuesOf('x-overlapd-ingress-port').join() === 'other') &&
      request.valuesOf(scope ?? '').join() === expected &&
      request.valuesOf('x-forwarded-for').join() === sourceOf(worker.targets[isRouter ? 0 : 1]!) &&
      request.valuesOf('x-request-id').length === 1 &&
      [...facts].every((name) => request.valuesOf(name).length <= 1)
    if (!isHonest)
      t.fail('a forged field reached the agent', { sent: request.bytes.toString('latin1') })
  }
  const refusals = await worker.metric('overlapd_proxy_refusals_total')
  t.ok(agent.requests.length > 100, `${agent.requests.length} requests were served`)
  t.ok(refusals > 300, `${refusals} were refused`)
})

t.test('afterwards each guest is still answered as itself, and nothing is left open', async (t) => {
  while ((await worker.metric('overlapd_proxy_connections_open')) > 0);

  for (const [index, [name, id]] of (
    [
      ['x-neutron-router-id', testRouterId],
      ['x-neutron-network-id', testNetworkId],
    ] as const
  ).entries()) {
    const answer = await askRaw(worker.targets[index]!, get('/after'))

    t.equal(answer?.status, 200)
    t.strictSame(agent.requests.at(-1)!.valuesOf(name), [id])
  }
})

const framing: ReadonlySet<string> = new Set(['host', 'connection', 'content-length'])
/** What the worker reports of the request beside who sent it, each at most once. */
const facts: ReadonlySet<string> = new Set([
  wireHeaders.arrival,
  wireHeaders.guestHost,
  wireHeaders.guestForwarded,
  wireHeaders.guestAgent,
  wireHeaders.token,
  wireHeaders.tokenTtl,
])

interface Attack {
  readonly target: RawTarget
  readonly bytes: Buffer
  readonly pieces: number
  readonly resets: boolean
}

/** Each listener is attacked from an address of its own, so that a request under the wrong scope shows. */
function sourceOf(target: RawTarget): string {
  return target.tcpPort === worker.target.tcpPort ? '127.0.0.1' : '127.0.0.2'
}

/** Writes the bytes in pieces and stays until the worker has had enough, or leaves rudely. */
async function attack({ target, bytes, pieces, resets }: Attack): Promise<void> {
  const guest = await RawConnection.over(
    connect({ host: target.host, port: target.tcpPort, localAddress: sourceOf(target) }),
  )
  const size = Math.ceil(bytes.length / pieces)
  for (let at = 0; at < bytes.length; at += size) {
    await guest.write(bytes.subarray(at, at + size))
  }
  if (resets) guest.socket.resetAndDestroy()
  else guest.socket.end()
  await guest.rest()
  guest.close()
}

function mutate(random: (below: number) => number): Buffer {
  if (random(10) === 0) {
    return Buffer.from(Array.from({ length: random(400) }, () => random(256)))
  }
  let text = grown[random(grown.length)]!
  if (random(4) === 0) text += grown[random(grown.length)]!
  for (let changes = random(5); changes > 0; changes -= 1) {
    const at = random(text.length)
    const until = at + random(6)
    const added = spice[random(spice.length)]!
    switch (random(4)) {
      case 0:
        text = text.slice(0, at) + added + text.slice(at)
        break
      case 1:
        text = text.slice(0, at) + text.slice(until)
        break
      case 2:
        text = text.slice(0, at) + added + text.slice(until)
        break
      default:
        text = text.slice(0, until) + text.slice(at)
    }
  }
  return Buffer.from(text, 'latin1')
}
