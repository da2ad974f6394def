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
import { eui64Of } from '../support/segment.ts'

interface Subject {
  readonly agent: RunningAgent
  readonly clock: FakeClock
  readonly upstream: RecordingUpstream
}

async function startSubject(t: Test): Promise<Subject> {
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setRouter(routerId(1), [networkId(2), networkId(1)])
  directory.setPorts({
    portId: portId(1),
    networkId: networkId(1),
    macAddress: mac(1),
    fixedIps: [ip('10.0.0.10'), ip('fd00::10')],
    instanceId: instanceId(1),
    projectId: projectId(1),
  })
  directory.remember()
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const agent = await startAgent(t, { clock, directory, upstreams: [upstream.url] })
  return { agent, clock, upstream }
}

const linkLocal = eui64Of(mac(1)).replace('/64', '')

/** Where haproxy or our proxy says a request came through, by the listener that understands it. */
const places = [
  ['a router, behind haproxy', 'ml2', ['X-Neutron-Router-ID', routerId(1)]],
  ['a network, behind haproxy', 'ml2', ['X-Neutron-Network-ID', networkId(1)]],
  ['a network of OVN, behind haproxy', 'ovn', ['X-OVN-Network-ID', networkId(1)]],
  ['a router, behind our proxy', 'overlapd', ['X-Neutron-Router-ID', routerId(1)]],
  ['a network of OVN, behind our proxy', 'overlapd', ['X-OVN-Network-ID', networkId(1)]],
] as const

/** As a socket's peer may be written, and what compute is told. */
const forms: readonly (readonly [given: string, told: string])[] = [
  ['10.0.0.10', '10.0.0.10'],
  ['::ffff:10.0.0.10', '10.0.0.10'],
  ['::FFFF:a00:a', '10.0.0.10'],
  ['fd00::10', 'fd00::10'],
  ['FD00:0:0:0:0:0:0:0010', 'fd00::10'],
  [linkLocal, linkLocal],
  [`${linkLocal}%tap0`, linkLocal],
  [linkLocal.toUpperCase(), linkLocal],
]

for (const [what, listener, scope] of places) {
  t.test(`every form of an address is understood: ${what}`, async (t) => {
    const { agent, upstream } = await startSubject(t)
    for (const [given, told] of forms) {
      const fields: Fields = [scope, ['X-Forwarded-For', given]]

      const answer = await agent.ask('/openstack', fields, { listener })

      t.equal(answer?.status, 200, given)
      t.equal(answer?.body.toString(), instanceId(1), given)
      t.equal(upstream.requests.at(-1)?.headers['x-forwarded-for'], told)
    }
  })

  t.test(`an address without an owner is no instance in every form: ${what}`, async (t) => {
    const { agent, clock, upstream } = await startSubject(t)
    const unknown = ['10.0.0.99', '::ffff:10.0.0.99', 'fd00::99', 'fe80::f816:3eff:fe99:9999']
    for (const given of unknown) {
      const fields: Fields = [scope, ['X-Forwarded-For', given]]
      const asking = agent.ask('/openstack', fields, { listener })
      if (given.startsWith('fe80')) {
        await clock.untilWaiting(clock.waiting + 1)
        await clock.advance(1_000)
      }

      const answer = await asking

      t.equal(answer?.status, 404, given)
      t.equal(answer?.field('x-overlapd-reason'), 'no_port', given)
    }
    t.equal(upstream.requests.length, 0)
  })
}

for (const listener of ['ml2', 'overlapd'] as const) {
  t.test(`an answer over IPv4 overtakes the refusal over IPv6, ${listener}`, async (t) => {
    const { agent, clock } = await startSubject(t)
    const scope: Fields[number] = ['X-Neutron-Router-ID', routerId(1)]
    // Stable-privacy: nobody can tell whose it is.
    const overIpv6: Fields = [scope, ['X-Forwarded-For', 'fe80::6c1d:9a3e:71b2:40f5']]
    const overIpv4: Fields = [scope, ['X-Forwarded-For', '10.0.0.10']]
    const before = clock.waiting
    let isRefused = false

    const refusing = agent
      .ask('/openstack', overIpv6, { listener })
      .finally(() => (isRefused = true))
    await clock.untilWaiting(before + 1)
    const answer = await agent.ask('/openstack', overIpv4, { listener })
    t.equal(answer?.status, 200)
    t.notOk(isRefused, 'the refusal has not come yet')
    await clock.advance(1_000)
    const refusal = await refusing

    t.equal(refusal?.status, 404)
    t.equal(refusal?.field('x-overlapd-reason'), 'link_local_without_mac')
  })
}

t.test('behind our proxy only few hold a connection for that', async (t) => {
  const { agent, clock } = await startSubject(t)
  const before = clock.waiting
  const ask = (number: number): Promise<unknown> =>
    agent.ask('/openstack', [
      ['X-Neutron-Router-ID', routerId(1)],
      ['X-Forwarded-For', `fe80::1:2:3:${number}`],
    ])
  const held = Array.from({ length: 8 }, (_, number) => ask(number))
  await clock.untilWaiting(before + 8)

  const answer = await ask(9)

  t.match(answer, { status: 404 }, 'at once, although no time has passed')
  await clock.advance(1_000)
  await Promise.all(held)
  // The window at whose end refusals that were not logged are summed up.
  await clock.advance(60_000)
  t.equal(clock.waiting, before)
})

t.test('a link-local address with its MAC is served at once', async (t) => {
  const { agent } = await startSubject(t)

  const answer = await agent.ask('/openstack', [
    ['X-Neutron-Router-ID', routerId(1)],
    ['X-Forwarded-For', 'fe80::6c1d:9a3e:71b2:40f5'],
    ['X-Overlapd-Source-MAC', mac(1)],
  ])

  t.equal(answer?.status, 200)
})

t.test('a guest that leaves while its refusal is held back is not waited for', async (t) => {
  const { agent, clock } = await startSubject(t)
  const before = clock.waiting
  const connection = await agent.connect('ml2')
  await connection.write(
    `GET / HTTP/1.1\r\nX-Neutron-Router-ID: ${routerId(1)}\r\nX-Forwarded-For: fe80::1:2:3:4\r\n\r\n`,
  )
  await clock.untilWaiting(before + 1)

  connection.close()
  while (clock.waiting > before) await clock.advance(0)

  t.equal(clock.waiting, before)
})

t.test('what is no address identifies no instance', async (t) => {
  const { agent, upstream } = await startSubject(t)
  for (const given of [
    '10.0.0',
    '010.0.0.10',
    '10.0.0.10:80',
    '10.0.0.10, 10.0.0.10',
    'unix:',
    '',
  ]) {
    const fields: Fields = [
      ['X-Neutron-Network-ID', networkId(1)],
      ['X-Forwarded-For', given],
    ]
    for (const listener of ['ml2', 'overlapd'] as const) {
      const answer = await agent.ask('/openstack', fields, { listener })
      t.equal(answer?.status, 400, given)
      t.equal(answer?.field('x-overlapd-reason'), 'source_address_malformed', given)
    }
  }
  t.equal(upstream.requests.length, 0)
})
