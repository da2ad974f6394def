import t, { type Test } from 'tap'
import type { DirectoryChange } from '../../../../agent-side/ports/directory/port-directory.ts'
import type { NetworkId, RouterId } from '../../../../lib/identity/ids.ts'
import type { ScopeText } from '../../../../lib/identity/scope.ts'
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
  withoutPort,
  withPort,
} from '../../../conformance/port-questions.ts'
import {
  ip,
  networkId,
  portId,
  mac,
  routerId,
  type Topology,
} from '../../../conformance/topology.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeOvsdb } from '../../../support/fake-ovsdb.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import { southboundRows } from '../../../support/ovn-rows.ts'
import { until } from '../../../support/until.ts'

const nothing = { Datapath_Binding: [false], Port_Binding: [false] }

interface Subject {
  readonly fake: FakeOvsdb
  readonly directory: ReturnType<typeof ovnDirectory>
  /** All that the server applies now. */
  conditions(): string
}

async function opened(
  t: Test,
  topology: Topology = overlappingTopology(),
  options: Partial<Parameters<typeof ovnDirectory>[0]> = {},
  server: Parameters<typeof FakeOvsdb.open>[0] = {},
): Promise<Subject> {
  const fake = await FakeOvsdb.open(server)
  fake.setTables(southboundRows(topology))
  const config = { copy: 'served', ovn_sb_connection: [`unix:${fake.path}`] }
  const directory = ovnDirectory({ ...options, config })
  t.teardown(async () => {
    await directory.close()
    await fake.close()
  })
  await directory.start()
  await until(() => directory.isConfirmed())
  return { fake, directory, conditions: () => JSON.stringify(fake.conditionsOf('ports')) }
}

const ofPlain = { networkIds: [networks.plain], fixedIp: ip('10.0.0.10') }
const plainScope: ScopeText = `network/${networks.plain}`

function detail(directory: Subject['directory']): string {
  return directory.readiness().detail
}

t.test('OvnDirectory copies nothing before a scope is reported or named', async (t) => {
  const { fake, directory } = await opened(t)
  t.strictSame(fake.conditionsOf('ports'), [nothing])
  t.match(detail(directory), /^0 ports on 0 networks/)
  t.equal(directory.readiness().ready, true)
})

t.test('OvnDirectory copies the networks that are reported, and no other', async (t) => {
  const { directory } = await opened(t)
  directory.serve(new Set([plainScope]))
  await until(
    () =>
      directory.readiness().detail.startsWith('5 ports on 1 networks, kept') ||
      [...directory.allPorts()].length > 3,
  )
  const held = new Set([...directory.allPorts()].map((port) => port.networkId))
  t.strictSame([...held], [networks.plain])
  t.strictSame(identities(await find(directory, ofPlain)), identities([guests.plain]))
})

t.test('OvnDirectory lets a request wait for a scope that is not known yet', async (t) => {
  const { fake, directory } = await opened(t)
  fake.isMute = true
  const abort = new AbortController()
  const late = directory.findPorts(ofPlain, { signal: abort.signal, freshness: 'cached' })
  const waits = find(directory, ofPlain)
  let isAnswered = false
  void waits.then(() => (isAnswered = true))
  t.ok(late instanceof Promise)
  abort.abort(new Error('too late'))
  await t.rejects(Promise.resolve(late), { message: 'too late' })
  t.equal(isAnswered, false, 'not none')
  fake.isMute = false
  fake.answerLate()
  t.strictSame(identities(await waits), identities([guests.plain]))
})

t.test('OvnDirectory refuses an unknown scope while there is no server', async (t) => {
  const clock = new FakeClock()
  const { fake, directory } = await opened(t, undefined, { clock, random: () => 0.5 })
  t.strictSame(identities(await find(directory, ofPlain)), identities([guests.plain]))
  const waiting = find(directory, { networkIds: [networks.twinOne] }).catch(
    (thrown: unknown) => thrown,
  )
  await fake.stop()
  await until(() => !directory.isConfirmed())
  const refused = { code: 'directory_unavailable' }
  await t.rejects(find(directory, { networkIds: [networks.isolated] }), refused)
  t.match(await waiting, refused)
  t.strictSame(identities(await find(directory, ofPlain)), identities([guests.plain]), 'known')
})

t.test('OvnDirectory keeps its conditions over a reconnect and brings what changed', async (t) => {
  const registry = createRegistry()
  const { fake, directory, conditions } = await opened(t, undefined, { registry })
  await find(directory, ofPlain)
  const before = conditions()
  const successor = guest(0x6aa, 'plain', '10.0.0.10')
  await fake.stop()
  fake.setTables(
    southboundRows(withPort(withoutPort(overlappingTopology(), guests.plain), successor)),
  )
  await fake.listen()
  await until(async () => (await registry.metrics()).includes('outcome="resumed"} 1'))
  t.equal(conditions(), before)
  t.strictSame(identities(await find(directory, ofPlain)), identities([successor]))
})

for (const unknownMethods of [['monitor_cond_since'], ['monitor_cond_since', 'monitor_cond']]) {
  t.test(`OvnDirectory serves without ${unknownMethods.join(', ')}`, async (t) => {
    const { directory } = await opened(t, undefined, {}, { unknownMethods })
    directory.serve(new Set<ScopeText>([`router/${routers.plain}`]))
    t.strictSame(identities(await find(directory, ofPlain)), identities([guests.plain]))
    t.strictSame(await networksOf(directory, routers.plain), [networks.plain])
  })
}

t.test('OvnDirectory forgets a port that moves to a network not served here', async (t) => {
  const { fake, directory } = await opened(t)
  await find(directory, ofPlain)
  const changes: DirectoryChange[] = []
  directory.onChange((change) => changes.push(change))
  const moved = { ...guests.plain, networkId: networks.isolated }
  fake.setTables(southboundRows(withPort(overlappingTopology(), moved)))
  await until(() => changes.length > 0)
  t.match(changes[0], { kind: 'network', networkId: networks.plain })
  t.strictSame(await find(directory, ofPlain), [])
})

t.test('OvnDirectory drops the condition of a network that is deleted', async (t) => {
  const { fake, directory, conditions } = await opened(t)
  await find(directory, ofPlain)
  t.match(conditions(), networks.plain)
  const whole = overlappingTopology()
  const isOther = ({ networkId }: { readonly networkId: NetworkId }): boolean =>
    networkId !== networks.plain
  fake.setTables(
    southboundRows({
      networks: whole.networks.filter(isOther),
      routers: whole.routers.map((one) => ({ ...one, ports: one.ports.filter(isOther) })),
      ports: whole.ports.filter(isOther),
    }),
  )
  await until(() => conditions() === JSON.stringify([nothing]))
  t.match(detail(directory), /^0 ports on 0 networks/)
})

t.test('OvnDirectory keeps nothing of a network that comes and goes 1,000 times', async (t) => {
  const { directory, conditions } = await opened(t)
  for (let time = 0; time < 1_000; time += 1) {
    directory.serve(new Set<ScopeText>([plainScope, `network/${networkId(0x1000 + time)}`]))
    if (time % 10 === 0) await until(() => [...directory.allPorts()].length > 3)
    directory.serve(new Set())
    if (time % 10 === 0) await until(() => conditions() === JSON.stringify([nothing]))
  }
  await until(() => conditions() === JSON.stringify([nothing]))
  await until(() => [...directory.allPorts()].length === 0)
  t.match(detail(directory), /^0 ports on 0 networks, kept/)
})

t.test('OvnDirectory drops what no request has named for an hour', async (t) => {
  const clock = new FakeClock()
  const { directory, conditions } = await opened(t, undefined, { clock })
  await find(directory, ofPlain)
  await find(directory, { networkIds: [networks.isolated] })
  for (let minutes = 0; minutes < 80; minutes += 5) {
    await clock.advance(300_000)
    await until(() => directory.isConfirmed())
    await find(directory, ofPlain)
  }
  await until(() => !conditions().includes(networks.isolated))
  t.match(conditions(), networks.plain)
})

t.test('OvnDirectory finds the networks of a router with 50 of them', async (t) => {
  const router: RouterId = routerId(0x500)
  const whole = overlappingTopology()
  const project = guests.plain.projectId
  const ids = Array.from({ length: 50 }, (_, place) => networkId(0x2000 + place))
  const ports = ids.map((id, place) => ({
    portId: portId(0x3000 + place),
    networkId: id,
    macAddress: mac(0x4000 + place),
    fixedIps: [ip(`10.9.${place}.1`)],
    deviceOwner: 'network:ha_router_replicated_interface',
  }))
  const { directory } = await opened(t, {
    networks: [...whole.networks, ...ids.map((id) => ({ networkId: id, projectId: project }))],
    routers: [...whole.routers, { routerId: router, projectId: project, ports }],
    ports: [
      ...whole.ports,
      { ...guests.plain, portId: portId(0x5000), networkId: ids[49] as NetworkId },
    ],
  })
  t.strictSame(await networksOf(directory, router), ids.toSorted())
  const found = await find(directory, { networkIds: ids, fixedIp: ip('10.0.0.10') })
  t.strictSame(
    found.map((port) => port.portId),
    [portId(0x5000)],
  )
  const inside = await find(directory, { networkIds: ids, macAddress: mac(0x4031) })
  t.strictSame(
    inside.map((port) => port.networkId),
    [ids[49]],
    'the MAC of the interface',
  )
  t.strictSame(await networksOf(directory, routers.unknown), [])
})
