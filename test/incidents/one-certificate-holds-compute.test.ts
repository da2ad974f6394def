// One stolen certificate of a proxy, with up to 128 connections, held every slot of the agent: the other hosts waited 5 s. Right: no
// certificate has more than half of what compute takes at a time under way, whatever networks and projects it names.
import t from 'tap'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { ScriptedDirectory } from '../support/scripted-directory.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startAgent, type Fields } from '../support/start-agent.ts'
import { TestAuthority, withoutOpenssl } from '../support/test-authority.ts'
import { askOver, connectAs, tcpPortOf, tlsListener } from '../support/tls-agent.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../conformance/topology.ts'

const attacks = 32
const victim = attacks + 1

const fieldsOf = (number: number): Fields => [
  ['X-Neutron-Network-ID', networkId(number)],
  ['X-Forwarded-For', '10.0.0.10'],
  ['X-Overlapd-Source-MAC', mac(number)],
]

t.test('the other hosts are served', { skip: withoutOpenssl() }, async (t) => {
  const held: (() => void)[] = []
  const upstream = await RecordingUpstream.start(({ headers }, response) => {
    if (headers['x-instance-id'] === instanceId(victim)) response.end('victim')
    else held.push(() => response.end('ok'))
  })
  t.teardown(() => upstream.close())
  const clock = new FakeClock()
  const directory = new ScriptedDirectory(clock)
  directory.setPorts(
    ...Array.from({ length: victim }, (_, index) => ({
      portId: portId(index + 1),
      networkId: networkId(index + 1),
      macAddress: mac(index + 1),
      fixedIps: [ip('10.0.0.10')],
      instanceId: instanceId(index + 1),
      projectId: projectId(index + 1),
    })),
  )
  directory.remember()
  const authority = new TestAuthority(scratchFolder(t))
  const server = authority.issue({ dnsNames: ['agent'], ipAddresses: ['127.0.0.1'] })
  const agent = await startAgent(t, {
    clock,
    directory,
    upstreams: [upstream.url],
    config: {
      listeners: [
        tlsListener(authority, server, {
          proxies: ['stolen', 'other'].map((name) => ({ name, scopes: ['*'] })),
        }),
      ],
      compute: { concurrency: 8, concurrency_start: 8, concurrency_min: 8 },
    },
  })
  const tcpPort = await tcpPortOf(agent)
  const stolen = authority.issue({ dnsNames: ['stolen'] })
  const other = authority.issue({ dnsNames: ['other'] })

  const answers = Array.from({ length: attacks }, async (_, index) => {
    const connection = await connectAs(t, tcpPort, authority, stolen)
    return askOver(connection, fieldsOf(index + 1))
  })
  const arrived = async (): Promise<number> => {
    const lines = (await agent.text('/metrics')).split('\n')
    return lines
      .filter((line) => /^overlapd_agent_(?:compute_running|\w+_waiting) /.test(line))
      .reduce((sum, line) => sum + Number(line.split(' ')[1]), 0)
  }
  while ((await arrived()) < attacks) await new Promise((resolve) => setImmediate(resolve))

  const connection = await connectAs(t, tcpPort, authority, other)
  const answer = await askOver(connection, fieldsOf(victim))
  t.equal(answer?.body.toString(), 'victim')
  t.equal(held.length, 4, 'half of what compute takes')

  // The same from connections that send ahead, as the attack did: each loses its connection, and holds nothing by it.
  const lines = fieldsOf(1).map(([name, value]) => `${name}: ${value}\r\n`)
  const flood = `GET /ahead HTTP/1.1\r\nHost: x\r\n${lines.join('')}\r\n`.repeat(1_000)
  const pipelining = await Promise.all(
    Array.from({ length: 16 }, () => connectAs(t, tcpPort, authority, stolen)),
  )
  const ends = pipelining.map(async (one) => {
    void one.write(flood)
    await one.rest()
  })
  const during = await askOver(connection, fieldsOf(victim))
  t.equal(during?.body.toString(), 'victim')
  await Promise.all(ends)
  t.equal((await askOver(connection, fieldsOf(victim)))?.body.toString(), 'victim')
  t.equal(held.length, 4, 'none of theirs is among them')
  t.match(
    await agent.text('/metrics'),
    `unreadable_requests_total{reason="request_pipelined"} ${pipelining.length}`,
  )

  let done = false
  void Promise.all(answers).then(() => (done = true))
  while (!done) {
    for (const release of held.splice(0)) release()
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const one of await Promise.all(answers)) t.equal(one?.status, 200, 'it waited')
  t.equal(await arrived(), 0)
})
