import { chmodSync, statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { FakeClock } from '../support/fake-clock.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { startAgent, type Fields, type RunningAgent } from '../support/start-agent.ts'
import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
} from '../conformance/topology.ts'

const own = 1
const victim = 2

async function subject(t: Test): Promise<{ agent: RunningAgent; upstream: RecordingUpstream }> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  for (const number of [own, victim]) {
    directory.setRouter(routerId(number), [networkId(number)])
    directory.setPorts({
      portId: portId(number),
      networkId: networkId(number),
      macAddress: mac(number),
      fixedIps: [ip(`10.0.0.${number}`)],
      instanceId: instanceId(number),
      projectId: projectId(number),
    })
  }
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  return { agent: await startAgent(t, { clock, directory, upstreams: [upstream.url] }), upstream }
}

/** What a guest may try, whatever stands between. */
const forged: Fields = [
  ['X-Instance-ID', instanceId(victim)],
  ['X-Tenant-ID', projectId(victim)],
  ['X-Instance-ID-Signature', 'f'.repeat(64)],
  ['X-Metadata-Provider', 'p'],
  ['X-Metadata-Provider-Signature', 'f'.repeat(64)],
  ['Forwarded', 'for=10.0.0.2'],
  ['X-Forwarded-Host', 'nova'],
  ['X-Real-IP', '10.0.0.2'],
  ['Cookie', 'a=b'],
]

const sentHeaders = [
  'connection',
  'host',
  'x-forwarded-for',
  'x-instance-id',
  'x-instance-id-signature',
  'x-tenant-id',
]

t.test('behind haproxy, what a guest claims of itself changes nothing', async (t) => {
  const { agent, upstream } = await subject(t)
  const ownNetwork: Fields[number] = ['X-Neutron-Network-ID', networkId(own)]
  const ownOvn: Fields[number] = ['X-OVN-Network-ID', networkId(own)]
  const peer: Fields[number] = ['X-Forwarded-For', '10.0.0.1']
  const guest = {
    forwarded: ['X-Forwarded-For', '10.0.0.2'],
    oddly: ['x-FORWARDED-for', '10.0.0.2, 10.0.0.1'],
    ovn: ['X-OVN-Network-ID', networkId(victim)],
    router: ['X-Neutron-Router-ID', routerId(victim)],
    network: ['x-neutron-NETWORK-id', networkId(victim)],
    mac: ['X-Overlapd-Source-MAC', mac(victim)],
    requestId: ['X-Request-ID', 'forged-by-a-guest'],
  } as const satisfies Record<string, Fields[number]>

  const served: readonly (readonly ['ml2' | 'ovn', Fields])[] = [
    ['ml2', [...forged, ownNetwork, peer]],
    ['ml2', [guest.forwarded, ownNetwork, peer]],
    ['ml2', [guest.oddly, guest.forwarded, ownNetwork, peer]],
    ['ml2', [guest.ovn, guest.mac, guest.requestId, ownNetwork, peer]],
    // haproxy replaces every copy of the one it sets; should it only append, the last one counts.
    ['ml2', [guest.network, ownNetwork, peer]],
    ['ovn', [guest.ovn, guest.forwarded, ...forged, ownOvn, peer]],
    ['ovn', [guest.router, guest.network, guest.mac, ownOvn, peer]],
  ]
  for (const [listener, fields] of served) {
    const answer = await agent.ask('/latest', fields, { listener })
    t.equal(answer?.status, 200)
    t.equal(answer?.body.toString(), instanceId(own))
    t.not(answer?.field('x-request-id'), 'forged-by-a-guest')
  }
  for (const request of upstream.requests) {
    t.strictSame(Object.keys(request.headers).toSorted(), sentHeaders)
    t.equal(request.headers['x-forwarded-for'], '10.0.0.1')
  }
})

t.test(
  'behind haproxy, a guest cannot push out what haproxy sends by sending too much',
  async (t) => {
    const { agent } = await subject(t)
    const guest: Fields = [
      ['X-Neutron-Network-ID', networkId(victim)],
      ['X-Forwarded-For', '10.0.0.2'],
      // Shorter lines than any other, up to what a head may hold.
      ...Array.from({ length: 4_000 }, () => ['a', ''] as const),
    ]
    const haproxy: Fields = [
      ['X-Neutron-Network-ID', networkId(own)],
      ['X-Forwarded-For', '10.0.0.1'],
    ]

    const answer = await agent.ask('/latest', [...guest, ...haproxy], { listener: 'ml2' })

    t.equal(answer?.body.toString(), instanceId(own))
  },
)

t.test('behind haproxy, what contradicts itself is refused', async (t) => {
  const { agent, upstream } = await subject(t)
  const network: Fields[number] = ['X-Neutron-Network-ID', networkId(own)]
  const router: Fields[number] = ['X-Neutron-Router-ID', routerId(own)]
  const peer: Fields[number] = ['X-Forwarded-For', '10.0.0.1']
  const refused: readonly (readonly ['ml2' | 'ovn', Fields, string])[] = [
    ['ml2', [network, router, peer], 'identity_conflict'],
    ['ml2', [peer], 'identity_missing'],
    ['ml2', [['X-OVN-Network-ID', networkId(own)], peer], 'identity_missing'],
    ['ovn', [network, peer], 'identity_missing'],
    ['ml2', [network], 'source_address_missing'],
    ['ml2', [network, ['X-Forwarded-For', '10.0.0.2, 10.0.0.1']], 'source_address_malformed'],
    ['ml2', [network, peer, ['X-Forwarded-For', '']], 'source_address_malformed'],
    ['ml2', [network, ['X-Forwarded-For', '010.0.0.1']], 'source_address_malformed'],
    ['ml2', [['X-Neutron-Network-ID', 'a b'], peer], 'identity_malformed'],
    ['ml2', [['X-Neutron-Network-ID', ''], peer], 'identity_malformed'],
    [
      'ml2',
      [['X-Neutron-Network-ID', `${networkId(own)}, ${networkId(victim)}`], peer],
      'identity_malformed',
    ],
  ]
  for (const [listener, fields, reason] of refused) {
    const answer = await agent.ask('/latest', fields, { listener })
    t.equal(answer?.status, 400, reason)
    t.equal(answer?.field('x-overlapd-reason'), reason)
  }
  t.equal(upstream.requests.length, 0)
})

t.test('from our own proxy, a repeated or second identity is refused', async (t) => {
  const { agent, upstream } = await subject(t)
  const network: Fields[number] = ['X-Neutron-Network-ID', networkId(own)]
  const peer: Fields[number] = ['X-Forwarded-For', '10.0.0.1']
  const sourceMac: Fields[number] = ['X-Overlapd-Source-MAC', mac(own)]
  const refused: readonly (readonly [Fields, string])[] = [
    [[network, network, peer], 'identity_repeated'],
    [[network, ['x-neutron-network-ID', networkId(victim)], peer], 'identity_repeated'],
    [[network, ['X-OVN-Network-ID', networkId(own)], peer], 'identity_conflict'],
    [[network, ['X-Neutron-Router-ID', routerId(own)], peer], 'identity_conflict'],
    [[network, peer, peer], 'identity_repeated'],
    [[network, peer, sourceMac, sourceMac], 'identity_repeated'],
    [[network, peer, ['X-Overlapd-Source-MAC', 'fa:16']], 'source_address_malformed'],
    [[network], 'source_address_missing'],
    [[peer], 'identity_missing'],
  ]
  for (const [fields, reason] of refused) {
    const answer = await agent.ask('/latest', fields)
    t.equal(answer?.status, 400, reason)
    t.equal(answer?.field('x-overlapd-reason'), reason)
  }
  t.equal(upstream.requests.length, 0)

  const good = await agent.ask('/latest', [
    network,
    peer,
    sourceMac,
    ['X-Request-ID', 'abcdefgh-0123'],
    ...forged,
  ])
  t.equal(good?.body.toString(), instanceId(own))
  t.equal(good?.field('x-request-id'), 'abcdefgh-0123')
  t.strictSame(Object.keys(upstream.requests[0]?.headers ?? {}).toSorted(), sentHeaders)
})

t.test('from our own proxy, the MAC of another port is a conflict', async (t) => {
  const { agent, upstream } = await subject(t)
  const answer = await agent.ask('/latest', [
    ['X-Neutron-Network-ID', networkId(own)],
    ['X-Forwarded-For', '10.0.0.1'],
    ['X-Overlapd-Source-MAC', mac(victim)],
  ])
  t.equal(
    answer?.body.toString(),
    instanceId(own),
    'the victim is on another network: unknown here',
  )
  t.equal(upstream.requests.length, 1)
})

t.test('a request that is no path goes nowhere', async (t) => {
  const { agent, upstream } = await subject(t)
  const identity: Fields = [
    ['X-Neutron-Network-ID', networkId(own)],
    ['X-Forwarded-For', '10.0.0.1'],
  ]
  for (const [method, target, status, reason] of [
    ['GET', 'http://192.0.2.1/latest', 400, 'request_target_invalid'],
    ['OPTIONS', '*', 400, 'request_target_invalid'],
    ['TRACE', '/', 405, 'method_not_supported'],
    ['CONNECT', '192.0.2.1:80', 405, 'method_not_supported'],
  ] as const) {
    const answer = await agent.ask(target, identity, { method })
    t.equal(answer?.status, status, target)
    t.equal(answer?.field('x-overlapd-reason'), reason)
  }
  t.equal(upstream.requests.length, 0)
})

t.test('unreadable bytes get a reason and no second chance', async (t) => {
  const { agent, upstream } = await subject(t)
  for (const [bytes, status, reason] of [
    ['NONSENSE\r\n\r\n', 400, 'malformed_request'],
    [
      'POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'ambiguous_framing',
    ],
    [`GET / HTTP/1.1\r\nA: ${'a'.repeat(40_000)}\r\n\r\n`, 431, 'header_too_large'],
  ] as const) {
    const connection = await agent.connect('ml2')
    void connection.write(bytes)
    const answer = await connection.answer()
    t.equal(answer?.status, status)
    t.equal(answer?.field('x-overlapd-reason'), reason)
    await connection.rest()
    connection.close()
  }
  t.equal(upstream.requests.length, 0)
  t.match(
    await agent.text('/metrics'),
    /overlapd_agent_unreadable_requests_total\{reason="ambiguous_framing"\} 1/,
  )
})

t.test('sockets have the configured mode', async (t) => {
  const { agent } = await subject(t)
  t.equal(statSync(agent.socketOf('overlapd')).mode & 0o777, 0o600)
  t.equal(statSync(agent.socketOf('ml2')).mode & 0o777, 0o644)
  chmodSync(agent.socketOf('ml2'), 0o600)
})
