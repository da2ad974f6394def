import t, { type Test } from 'tap'
import { chassisAgentId } from '../../../../agent-side/ports/ovn/chassis-agent-id.ts'
import type {
  DirectoryChange,
  PortQuery,
} from '../../../../agent-side/ports/directory/port-directory.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import {
  guest,
  guests,
  networks,
  overlappingTopology,
  routers,
} from '../../../conformance/overlapping-topology.ts'
import {
  find,
  identities,
  networksOf,
  withPort,
  withoutPort,
} from '../../../conformance/port-questions.ts'
import { ip, mac, type Topology } from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeOvsdb } from '../../../support/fake-ovsdb.ts'
import {
  ovnConfig,
  ovnDirectory,
  type OvnDirectoryOptions,
} from '../../../support/ovn-directory.ts'
import { until } from '../../../support/until.ts'
import { ovsMap, rowUuid, southboundRows } from '../../../support/ovn-rows.ts'

async function source(t: Test, options = {}): Promise<FakeOvsdb> {
  const fake = await FakeOvsdb.open(options)
  fake.setTables(southboundRows(overlappingTopology()))
  t.teardown(() => fake.close())
  return fake
}

async function opened(
  t: Test,
  fake: FakeOvsdb,
  options: Partial<OvnDirectoryOptions> = {},
): Promise<ReturnType<typeof ovnDirectory>> {
  const config = { ovn_sb_connection: [`unix:${fake.path}`], ...options.config }
  const directory = ovnDirectory({ ...options, config })
  t.teardown(() => directory.close())
  await directory.start()
  await until(() => directory.isConfirmed())
  return directory
}

const byAddress: PortQuery = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
const withMac: PortQuery = { ...byAddress, macAddress: guests.plain.macAddress }

async function refusal(answer: Promise<unknown>): Promise<string> {
  return await answer.then(
    () => 'answered',
    (thrown: unknown) => (thrown instanceof MetadataError ? thrown.code : String(thrown)),
  )
}

t.test('OvnDirectory reports a change in the same turn in which it answers with it', async (t) => {
  const fake = await source(t)
  const directory = await opened(t, fake)
  const asked = { signal: new AbortController().signal, freshness: 'cached' } as const
  const seen: unknown[] = []
  directory.onChange((change: DirectoryChange) => {
    seen.push([change, directory.findPorts(byAddress, asked)])
  })
  const successor = guest(0x6aa, 'plain', '10.0.0.10')
  fake.setTables(
    southboundRows(withPort(withoutPort(overlappingTopology(), guests.plain), successor)),
  )
  await until(() => seen.length > 0)
  t.match(seen, [
    [
      { kind: 'network', networkId: networks.plain },
      { ports: [{ instanceId: successor.instanceId }] },
    ],
    [{ kind: 'network', networkId: rowUuid(networks.plain) }],
  ])
  t.equal(seen.length, 2, 'one network, told once under each of its names')
})

t.test(
  'OvnDirectory serves what it knows while the server is away, and refuses the rest',
  async (t) => {
    const fake = await source(t)
    const clock = new FakeClock()
    const directory = await opened(t, fake, {
      clock,
      random: () => 0.5,
      config: { max_unconfirmed: '60s', max_disconnected: '80s' },
    })
    const changes: DirectoryChange[] = []
    directory.onChange((change) => changes.push(change))
    await fake.stop()
    await until(() => !directory.isConfirmed())
    await clock.advance(20_000)

    t.match(directory.readiness(), {
      ready: true,
      detail: /not confirmed for \d+ s and still used/,
    })
    for (const query of [byAddress, withMac]) {
      t.strictSame(identities(await find(directory, query, 'fresh')), identities([guests.plain]))
      t.strictSame(identities(await find(directory, query, 'cached')), identities([guests.plain]))
    }
    t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
    const doubtful: readonly (readonly [string, PortQuery])[] = [
      ['nobody has the address', { ...byAddress, fixedIp: ip('10.0.0.99') }],
      ['a new MAC has the address', { ...byAddress, macAddress: mac(0xabcdef) }],
      ['another port has the MAC', { ...byAddress, macAddress: guests.plainNeighbour.macAddress }],
      ['two ports have the address', { ...byAddress, fixedIp: ip('10.0.0.77') }],
    ]
    for (const [name, query] of doubtful) {
      t.equal(await refusal(find(directory, query, 'fresh')), 'directory_unavailable', name)
    }
    t.equal(await refusal(networksOf(directory, routers.unknown)), 'directory_unavailable')
    const { asOf } = await directory.findPorts(byAddress, {
      signal: new AbortController().signal,
      freshness: 'cached',
    })
    t.ok(asOf <= clock.now() - 20_000, 'its age is told')

    t.strictSame(changes, [])

    await clock.advance(41_000)
    t.match(directory.readiness(), { ready: true, detail: /guests get 503/ })
    t.equal(await refusal(find(directory, withMac, 'cached')), 'directory_unavailable')
    t.match(
      changes,
      [{ kind: 'all', why: /no server confirms/ }],
      'what is remembered ends as well',
    )
    await clock.advance(20_000)
    t.equal(directory.readiness().ready, false)

    await fake.listen()
    const back = until(() => directory.isConfirmed())
    await clock.advance(60_000)
    await back
    t.equal(directory.readiness().ready, true)
    t.equal(changes.length, 1, 'resumed: nobody has to forget anything')
  },
)

t.test('OvnDirectory does not trust a silent server, and does not leave it at once', async (t) => {
  const fake = await source(t, { unknownMethods: ['nothing'] })
  const clock = new FakeClock()
  const directory = await opened(t, fake, { clock })
  fake.isMute = true
  await clock.advance(4_500)
  t.equal(directory.isConfirmed(), false)
  t.match(directory.readiness(), { ready: true, detail: /still used: the server is silent/ })
  t.equal(
    await refusal(find(directory, { ...byAddress, fixedIp: ip('10.0.0.99') }, 'fresh')),
    'directory_unavailable',
  )
  t.equal(fake.clientCount, 1)
  await clock.advance(1_000)
  t.equal(await refusal(find(directory, withMac, 'cached')), 'directory_unavailable')
  fake.answerLate()
  await until(() => directory.isConfirmed())
  t.equal(fake.clientCount, 1, 'the same session')
})

t.test('OvnDirectory is not ready while one of the tables was never seen', async (t) => {
  const fake = await source(t, {
    status: null,
    unknownMethods: ['monitor_cond_since', 'monitor_cond', 'monitor'],
  })
  const directory = ovnDirectory({ config: { ovn_sb_connection: [`unix:${fake.path}`] } })
  t.teardown(() => directory.close())
  await directory.start()
  await until(() => fake.requests.filter(({ method }) => method === 'monitor').length > 1)
  t.match(directory.readiness(), { ready: false, detail: /no complete copy/ })
  t.equal(await refusal(find(directory, byAddress, 'cached')), 'directory_not_ready')
})

t.test('OvnDirectory serves although it cannot report the agent', async (t) => {
  const fake = await source(t, { unknownTables: ['Chassis_Private'] })
  const directory = await opened(t, fake, { config: { report_agent: true, chassis: 'host-1' } })
  t.strictSame(identities(await find(directory, byAddress)), identities([guests.plain]))
  t.equal(directory.isConfirmed(), true)
})

t.test('OvnDirectory reads the name of its chassis from the local Open vSwitch', async (t) => {
  const fake = await source(t)
  const local = await FakeOvsdb.open({
    database: 'Open_vSwitch',
    status: { name: 'Open_vSwitch', model: 'standalone', connected: true, leader: true },
  })
  t.teardown(() => local.close())
  const ids = (bridge: string): unknown => ovsMap({ 'system-id': 'host-1', 'ovn-bridge': bridge })
  const setLocal = (bridge: string): void =>
    local.setTables({ Open_vSwitch: { [rowUuid('ovs')]: { external_ids: ids(bridge) } } })
  setLocal('br-one')
  const config = { report_agent: true, ovsdb_connection: `unix:${local.path}` }
  await opened(t, fake, { config })
  const written = (): string =>
    JSON.stringify(fake.requests.filter(({ method }) => method === 'transact').at(-1)?.params ?? '')
  await until(() => written().includes('br-one'))
  t.match(written(), '["name","==","host-1"]')
  t.match(written(), `["neutron:ovn-metadata-id","${chassisAgentId('host-1')}"]`)
  t.match(written(), '["neutron:ovn-metadata-sb-cfg","1"]')
  setLocal('br-two')
  await until(() => written().includes('br-two'))
  t.pass('follows the bridge')
})

t.test('OvnDirectory replaces its copy by that of a server with another past', async (t) => {
  const fake = await source(t, { forgetful: true })
  const directory = await opened(t, fake)
  const changes: DirectoryChange[] = []
  directory.onChange((change) => changes.push(change))
  await fake.stop()
  fake.setTables(southboundRows(withoutPort(overlappingTopology(), guests.plain)))
  fake.setTables(fake.tables)
  await fake.listen()
  await until(() => changes.length > 0)
  t.match(changes, [{ kind: 'all' }])
  await until(() => directory.isConfirmed())
  t.strictSame(await find(directory, withMac), [])
})

t.test('OvnDirectory reports "all" when very much changes at once', async (t) => {
  const fake = await source(t)
  const directory = await opened(t, fake)
  const changes: DirectoryChange[] = []
  directory.onChange((change) => changes.push(change))
  directory.onChange(() => {
    throw new Error('a listener with a defect')
  })
  const before = overlappingTopology()
  const many = Array.from({ length: 1_100 }, (_, number) => ({
    networkId:
      `f0000000-0000-4000-8000-${String(number).padStart(12, '0')}` as (typeof before.networks)[number]['networkId'],
    projectId: guests.plain.projectId,
  }))
  fake.setTables(southboundRows({ ...before, networks: [...before.networks, ...many] }))
  await until(() => changes.length > 0)
  t.match(changes, [{ kind: 'all', why: /2200 networks and routers/ }])
})

t.test('OvnDirectory takes in long copies and long updates, in their order', async (t) => {
  const before = overlappingTopology()
  const many = (address: (number: number) => string): Topology['ports'] =>
    Array.from({ length: 2_000 }, (_, number) => guest(0x10000 + number, 'plain', address(number)))
  const spread = (number: number, first: number): string =>
    `10.${first}.${Math.floor(number / 200)}.${(number % 200) + 1}`
  const fake = await source(t)
  fake.setTables(southboundRows({ ...before, ports: many((number) => spread(number, 1)) }))
  const directory = ovnDirectory({ config: { ovn_sb_connection: [`unix:${fake.path}`] } })
  t.teardown(() => directory.close())
  await directory.start()
  // The updates reach the client while it is still taking in the copy, one behind the other.
  await until(() => fake.requests.some(({ method }) => method === 'monitor_cond_since'))
  fake.setTables(southboundRows({ ...before, ports: many((number) => spread(number, 2)) }))
  const last = many((number) => spread(number, 3))
  fake.setTables(southboundRows({ ...before, ports: last }))
  fake.setTables(southboundRows({ ...before, ports: [...last, guests.isolated] }))
  const isolated = { networkIds: [networks.isolated], fixedIp: ip('10.0.0.10') }
  await until(async () => directory.isConfirmed() && (await find(directory, isolated)).length === 1)
  const held = [...directory.allPorts()].filter((p) => !p.deviceOwner?.startsWith('network:'))
  t.strictSame(identities(held), identities([...last, guests.isolated]))
  t.strictSame(await find(directory, { networkIds: [networks.plain], fixedIp: ip('10.2.0.1') }), [])
})

t.test('OvnDirectory counts in its metrics what an operator needs', async (t) => {
  const fake = await source(t)
  const registry = createRegistry()
  const directory = await opened(t, fake, { registry })
  await find(directory, byAddress)
  const text = await registry.metrics()
  t.match(text, /^overlapd_directory_ports\{directory="ovn"\} 21$/m)
  t.match(text, /^overlapd_directory_networks\{directory="ovn"\} 7$/m)
  t.match(text, /^overlapd_directory_skipped_rows\{directory="ovn",reason="router_side"\} 9$/m)
  t.match(text, /^overlapd_directory_confirmed\{directory="ovn"\} 1$/m)
  t.match(text, /^overlapd_directory_loads_total\{directory="ovn",outcome="loaded"\} 1$/m)
})

t.test('ovnTable has defaults that work, and refuses what is no endpoint', async (t) => {
  t.match(ovnConfig(), {
    ovn_sb_connection: [{ kind: 'tcp', host: '127.0.0.1', tcpPort: 6642 }],
    leader_only: false,
    max_unconfirmed: 5_000,
  })
  t.throws(() => ovnConfig({ ovn_sb_connection: ['ptcp:6642'] }), /not unix:/)
})
