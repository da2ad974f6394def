import t, { type Test } from 'tap'
import type { OvnDirectory } from '../../../../agent-side/ports/ovn/directory.ts'
import type { ScopeText } from '../../../../lib/identity/scope.ts'
import { createRegistry } from '../../../../lib/observe/metrics.ts'
import { find, networksOf } from '../../../conformance/port-questions.ts'
import { ip, mac, networkId, portId, routerId, uuid } from '../../../conformance/topology.ts'
import { OvnCentral, whyNoOvnCentral } from '../../../support/ovn-central.ts'
import { ovnDirectory } from '../../../support/ovn-directory.ts'
import { OvsdbCluster } from '../../../support/ovsdb-cluster.ts'
import { until } from '../../../support/until.ts'

const skip = whyNoOvnCentral() ?? false
const [one, other] = [networkId(0x71), networkId(0x72)]
const router = routerId(0x73)
const wait = 20

/** A network with a guest at 10.0.0.10, joined to the router, as Neutron's driver writes it. */
async function addNetwork(central: OvnCentral, id: string, number: number): Promise<void> {
  const [guest, inside] = [portId(number), portId(number + 1)]
  const set = (name: string, ids: Readonly<Record<string, string>>): string[] => [
    ...['--', 'set', 'Logical_Switch_Port', name],
    ...Object.entries(ids).map(([key, value]) => `external_ids:"neutron:${key}"="${value}"`),
  ]
  await central.nbctl([
    ...['ls-add', `neutron-${id}`],
    ...['--', 'lsp-add', `neutron-${id}`, guest],
    ...['--', 'lsp-set-addresses', guest, `${mac(number)} 10.0.0.10`],
    ...set(guest, {
      cidrs: '10.0.0.10/24',
      device_id: uuid('d', number),
      device_owner: 'compute:nova',
      project_id: uuid('e', 1),
    }),
    ...['--', '--may-exist', 'lr-add', `neutron-${router}`],
    ...['--', 'lrp-add', `neutron-${router}`, `lrp-${inside}`, mac(number + 1), '10.0.0.1/24'],
    ...['--', 'lsp-add', `neutron-${id}`, inside, '--', 'lsp-set-type', inside, 'router'],
    ...['--', 'lsp-set-addresses', inside, 'router'],
    ...['--', 'lsp-set-options', inside, `router-port=lrp-${inside}`],
    ...set(inside, {
      cidrs: '10.0.0.1/24',
      device_id: router,
      device_owner: 'network:router_interface',
    }),
  ])
}

async function instancesOn(directory: OvnDirectory, id = one): Promise<readonly unknown[]> {
  const found = await find(directory, { networkIds: [id], fixedIp: ip('10.0.0.10') })
  return found.map(({ instanceId }) => instanceId)
}

function opened(t: Test, servers: readonly string[], registry = createRegistry()): OvnDirectory {
  const config = { copy: 'served', ovn_sb_connection: servers, max_unconfirmed: '60s' }
  const directory = ovnDirectory({ config, registry })
  t.teardown(() => directory.close())
  return directory
}

t.test(
  'a served copy has what northd writes, and nothing of other networks',
  { skip },
  async (t) => {
    const central = await OvnCentral.start()
    t.teardown(() => central.close())
    await addNetwork(central, one, 0x10)
    await addNetwork(central, other, 0x20)
    const relay = await central.startRelay()
    for (const [name, server] of [
      ['a server', central.southbound],
      ['a relay', relay],
    ] as const) {
      const registry = createRegistry()
      const directory = opened(t, [server], registry)
      await directory.start()
      await until(() => directory.isConfirmed(), wait)
      directory.serve(new Set<ScopeText>([`network/${one}`]))
      await until(async () => (await instancesOn(directory)).length === 1, wait)
      t.strictSame(await instancesOn(directory), [uuid('d', 0x10)], name)
      const found = await find(directory, { networkIds: [one], fixedIp: ip('10.0.0.1') })
      t.match(found, [{ macAddress: mac(0x11) }], 'the MAC of the interface is on the router')
      const held = [...directory.allPorts()].map((port) => port.networkId)
      t.strictSame([...new Set(held)], [one])

      t.strictSame(await networksOf(directory, router), [one, other].toSorted())
      t.strictSame(await instancesOn(directory, other), [uuid('d', 0x20)])
      const unknown = networkId(0x79)
      t.strictSame(await instancesOn(directory, unknown), [], 'there is no such network')

      await central.appctl(name === 'a relay' ? 'relay' : 'sb', 'ovsdb-server/reconnect')
      const isResumed = async (): Promise<boolean> =>
        (await registry.metrics()).includes('outcome="resumed"} 1')
      await until(isResumed, wait)
      t.pass('a session that the server ends is resumed')
      await directory.close()
    }
  },
)

t.test('a served copy survives a restart of the server', { skip }, async (t) => {
  const central = await OvnCentral.start()
  t.teardown(() => central.close())
  await addNetwork(central, one, 0x10)
  const registry = createRegistry()
  const directory = opened(t, [central.southbound], registry)
  await directory.start()
  await until(() => directory.isConfirmed(), wait)
  t.strictSame(await instancesOn(directory), [uuid('d', 0x10)])
  await central.stop('sb')
  await until(() => !directory.isConfirmed(), wait)
  await central.startDatabase('sb')
  await until(() => directory.isConfirmed(), wait)
  t.match(await registry.metrics(), 'outcome="resumed"} 1', 'a clustered server remembers')
  await central.nbctl(['lsp-del', portId(0x10)])
  await until(async () => (await instancesOn(directory)).length === 0, wait)
  t.pass('what happens afterwards arrives')
})

t.test('a served copy is taken from a follower of a cluster', { skip }, async (t) => {
  const cluster = await OvsdbCluster.start()
  t.teardown(() => cluster.close())
  const leader = await cluster.leader()
  const follower = [0, 1, 2].find((member) => member !== leader) ?? 0
  const directory = opened(t, [cluster.endpoint(follower)])
  await directory.start()
  await until(() => directory.isConfirmed(), wait)
  directory.serve(new Set<ScopeText>([`network/${one}`]))
  const ids = { 'logical-switch': uuid('f', 1), name: `neutron-${one}` }
  const device = { 'neutron:device_id': uuid('d', 5), 'neutron:cidrs': '10.0.0.10/24' }
  await cluster.transact(
    leader,
    {
      op: 'insert',
      table: 'Datapath_Binding',
      row: { tunnel_key: 1, external_ids: ['map', Object.entries(ids)] },
      'uuid-name': 'switch',
    },
    {
      op: 'insert',
      table: 'Port_Binding',
      row: {
        logical_port: portId(5),
        datapath: ['named-uuid', 'switch'],
        tunnel_key: 1,
        mac: `${mac(5)} 10.0.0.10`,
        external_ids: ['map', Object.entries(device)],
      },
    },
  )
  await until(async () => (await instancesOn(directory)).length === 1, wait)
  t.strictSame(await instancesOn(directory), [uuid('d', 5)])
})
