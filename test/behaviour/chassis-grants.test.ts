/** A central agent with real OVN: each host may name the networks of the ports that are bound to its chassis. */
import t, { type Test } from 'tap'
import type { NetworkId } from '../../lib/identity/ids.ts'
import { createRegistry } from '../../lib/observe/metrics.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { mac, networkId, portId, routerId, uuid } from '../conformance/topology.ts'
import { OvnCentral, whyNoOvnCentral } from '../support/ovn-central.ts'
import { ovnDirectory } from '../support/ovn-directory.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { startAgent, type Fields } from '../support/start-agent.ts'
import { TestAuthority, withoutOpenssl, type Wanted } from '../support/test-authority.ts'
import { askOver, connectAs, tcpPortOf, tlsListener } from '../support/tls-agent.ts'
import { until } from '../support/until.ts'

const skip = whyNoOvnCentral() ?? withoutOpenssl()
const [red, blue] = [networkId(0x81), networkId(0x82)]
const [hostA, hostB] = [{ commonName: 'system-a' }, { dnsNames: ['host-b.example'] }]

/** A network with a guest at 10.0.0.10, as Neutron's driver writes it. */
async function addNetwork(central: OvnCentral, id: NetworkId, number: number): Promise<void> {
  const name = portId(number)
  const ids = { cidrs: '10.0.0.10/24', device_id: uuid('d', number), project_id: uuid('e', 1) }
  const settings = Object.entries(ids).map(
    ([key, value]) => `external_ids:"neutron:${key}"="${value}"`,
  )
  await central.nbctl([
    ...['ls-add', `neutron-${id}`, '--', 'lsp-add', `neutron-${id}`, name],
    ...['--', 'lsp-set-addresses', name, `${mac(number)} 10.0.0.10`],
    ...['--', 'set', 'Logical_Switch_Port', name, ...settings],
  ])
}

async function addChassis(central: OvnCentral, name: string, hostname: string): Promise<string> {
  await central.sbctl('chassis-add', name, 'geneve', `192.0.2.${name === 'system-a' ? 1 : 2}`)
  await central.sbctl('set', 'Chassis', name, `hostname=${hostname}`)
  return central.sbctl('get', 'Chassis', name, '_uuid')
}

interface Cloud {
  readonly central: OvnCentral
  readonly chassisOfB: string
  /** Status and reason of a request of a host's proxy for the guest at 10.0.0.10. */
  ask(host: Wanted, id: NetworkId, scope?: Fields): Promise<string>
  /** Waits until it is so. */
  becomes(host: Wanted, id: NetworkId, answer: string): Promise<void>
}

async function startCloud(t: Test): Promise<Cloud> {
  const central = await OvnCentral.start()
  t.teardown(() => central.close())
  await addNetwork(central, red, 0x10)
  await addNetwork(central, blue, 0x20)
  await addChassis(central, 'system-a', 'host-a.example')
  const chassisOfB = await addChassis(central, 'system-b', 'host-b.example')
  await until(
    async () =>
      (await central.sbctl('--bare', 'find', 'Port_Binding', `logical_port=${portId(0x20)}`)) !==
      '',
    20,
  )
  await central.sbctl('lsp-bind', portId(0x10), 'system-a')
  await central.sbctl('lsp-bind', portId(0x20), 'system-b')
  const directory = ovnDirectory({
    config: { ovn_sb_connection: [central.southbound], max_unconfirmed: '60s' },
    registry: createRegistry(),
    grantsByHost: true,
  })
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const server = authority.issue({ commonName: 'agent', ipAddresses: ['127.0.0.1'] })
  const upstream = await RecordingUpstream.start(novaLike('s3cr3t'))
  t.teardown(() => upstream.close())
  const listed = { proxies_by_chassis: true, proxies: [{ name: 'network-node', scopes: ['*'] }] }
  const ports = { kind: 'ovn', ovn: { ovn_sb_connection: [central.southbound] } }
  const agent = await startAgent(t, {
    clock: systemClock,
    directory,
    upstreams: [upstream.url],
    config: { ports, listeners: [tlsListener(authority, server, listed)] },
  })
  const tcpPort = await tcpPortOf(agent)
  const issued = new Map<Wanted, ReturnType<TestAuthority['issue']>>()
  const ask: Cloud['ask'] = async (host, id, scope = [['X-OVN-Network-ID', id]]) => {
    const client = issued.get(host) ?? authority.issue(host)
    issued.set(host, client)
    const connection = await connectAs(t, tcpPort, authority, client)
    const number = id === red ? 0x10 : 0x20
    const guest: Fields = [
      ['X-Forwarded-For', '10.0.0.10'],
      ['X-Overlapd-Source-MAC', mac(number)],
    ]
    const answer = await askOver(connection, [...scope, ...guest])
    connection.close()
    if (answer === undefined) return 'ended'
    const instance = answer.status === 200 ? answer.body.toString() : undefined
    return `${answer.status} ${instance ?? answer.field('x-overlapd-reason') ?? ''}`
  }
  return {
    central,
    chassisOfB,
    ask,
    becomes: (host, id, wanted) => until(async () => (await ask(host, id)) === wanted, 20),
  }
}

const [ofRed, ofBlue] = [`200 ${uuid('d', 0x10)}`, `200 ${uuid('d', 0x20)}`]
const refused = '403 scope_not_allowed'

t.test(
  'a certificate named as a chassis counts for the networks of its ports',
  { skip },
  async (t) => {
    const { central, chassisOfB, ask, becomes } = await startCloud(t)
    await becomes(hostA, red, ofRed)

    t.equal(await ask(hostA, blue), refused)
    t.equal(await ask(hostB, blue), ofBlue, 'by hostname')
    t.equal(await ask(hostB, red), refused)
    t.equal(await ask(hostA, red, [['X-Neutron-Router-ID', routerId(1)]]), refused)
    t.equal(await ask({ commonName: 'host-c' }, red), refused, 'no chassis has this name')
    t.equal(await ask({ dnsNames: ['host-a.example', 'host-b.example'] }, red), 'ended')
    t.equal(await ask({ dnsNames: ['*.example'] }, red), 'ended')
    t.equal(await ask({ commonName: 'network-node' }, blue), ofBlue, 'what is listed, by the list')

    // A live migration: both hosts serve the guest, then the target alone.
    await central.sbctl('set', 'Port_Binding', portId(0x10), `additional_chassis=${chassisOfB}`)
    await becomes(hostB, red, ofRed)
    t.equal(await ask(hostA, red), ofRed)
    await central.sbctl(
      'set',
      'Port_Binding',
      portId(0x10),
      `chassis=${chassisOfB}`,
      'additional_chassis=[]',
    )
    await becomes(hostA, red, refused)
    t.equal(await ask(hostB, red), ofRed)

    await central.sbctl('chassis-del', 'system-b')
    await becomes(hostB, blue, refused)
  },
)

t.test('nothing is granted by a chassis that cannot be looked up', { skip }, async (t) => {
  const { central, ask, becomes } = await startCloud(t)
  await becomes(hostA, red, ofRed)
  await central.stop('sb')
  // What was bound is used for as long as the copy is; whether another network is not bound is uncertain.
  await becomes(hostA, blue, '503 directory_unavailable')
  t.equal(await ask(hostA, red), ofRed)
})
