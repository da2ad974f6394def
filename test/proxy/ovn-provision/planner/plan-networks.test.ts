import t from 'tap'
import type { NetworkPlan } from '../../../../proxy/ovn-provision/shared/network-plan.ts'
import { planNetworks } from '../../../../proxy/ovn-provision/planner/plan-networks.ts'
import type { SouthboundRows } from '../../../../proxy/ovn-provision/planner/southbound-rows.ts'
import { rowUuid } from '../../../support/ovn-rows.ts'

const own = rowUuid('own chassis')
const other = rowUuid('other chassis')
const networkId = 'ab111111-0000-4000-8000-000000000001'
const metadataMac = 'fa:16:3e:00:00:02'

type Port = SouthboundRows['ports'] extends Iterable<infer Row> ? Row : never
type Datapath = SouthboundRows['datapaths'] extends ReadonlyMap<string, infer Row> ? Row : never

function guest(changes: Partial<Port> = {}): Port {
  return {
    logical_port: 'guest',
    type: '',
    mac: ['fa:16:3e:00:00:10 10.0.0.10'],
    external_ids: new Map([['neutron:device_id', 'an-instance']]),
    datapath: rowUuid(networkId),
    chassis: own,
    additional_chassis: [],
    ...changes,
  }
}

function metadataPort(
  changes: Partial<Port> = {},
  ids: Readonly<Record<string, string>> = {},
): Port {
  const all = {
    'neutron:cidrs': '10.0.0.2/24 10.1.0.2/24 fd00::2/64',
    'neutron:device_id': `ovnmeta-${networkId}`,
    'neutron:mtu': '1442',
    ...ids,
  }
  return guest({
    logical_port: 'metadata',
    type: 'localport',
    mac: [`${metadataMac} 10.0.0.2 10.1.0.2 fd00::2`],
    external_ids: new Map(Object.entries(all)),
    chassis: undefined,
    ...changes,
  })
}

function datapath(id: string, key = 'logical-switch'): readonly [string, Datapath] {
  const ids = new Map([
    [key, rowUuid(`nb ${id}`)],
    ['name', `neutron-${id}`],
  ])
  return [rowUuid(id), { external_ids: ids }]
}

function plan(ports: readonly Port[], datapaths = [datapath(networkId)]): NetworkPlan[] {
  const rows = { chassis: own, ports, datapaths: new Map(datapaths) }
  return planNetworks(rows, false).map((one) => one.plan)
}

const expected = {
  networkId,
  macAddress: metadataMac,
  mtu: 1442,
  addresses: ['10.0.0.2/24'],
  ipv6: false,
  fillsChecksums: false,
}

t.test('planNetworks plans the subnets that guests of this host use', async (t) => {
  t.strictSame(plan([metadataPort(), guest()]), [expected])
  const second = guest({ logical_port: 'second', mac: ['fa:16:3e:00:00:11 10.1.0.11 fd00::11'] })
  t.strictSame(plan([metadataPort(), guest(), second]), [
    { ...expected, addresses: ['10.0.0.2/24', '10.1.0.2/24'], ipv6: true },
  ])
  const elsewhere = { ...second, chassis: other }
  t.strictSame(plan([metadataPort(), guest(), elsewhere]), [expected])
  const foreignSubnet = guest({ mac: ['fa:16:3e:00:00:10 172.16.0.10'] })
  t.strictSame(plan([metadataPort(), foreignSubnet]), [{ ...expected, addresses: [] }])
})

t.test('planNetworks counts guests that are on their way here', async (t) => {
  const coming = guest({ chassis: other, additional_chassis: [own] })
  t.strictSame(plan([metadataPort(), coming]), [expected])
  t.strictSame(plan([metadataPort(), { ...coming, additional_chassis: [rowUuid('third')] }]), [])
})

t.test('planNetworks counts ports of the types that guests are behind alone', async (t) => {
  t.strictSame(plan([metadataPort(), guest({ type: 'external' })]), [expected])
  for (const type of ['virtual', 'patch', 'l3gateway', 'chassisredirect', 'localnet']) {
    t.strictSame(plan([metadataPort(), guest({ type })]), [], type)
  }
})

t.test('planNetworks passes over ports without addresses', async (t) => {
  for (const mac of [[], ['unknown'], ['fa:16:3e:00:00:10'], ['router'], ['']]) {
    t.strictSame(plan([metadataPort(), guest({ mac })]), [], JSON.stringify(mac))
  }
  const both = guest({ mac: ['unknown', 'fa:16:3e:00:00:10 10.0.0.10'] })
  t.strictSame(plan([metadataPort(), both]), [expected])
})

t.test('planNetworks needs a metadata port with a MAC', async (t) => {
  t.strictSame(plan([guest()]), [])
  t.strictSame(plan([metadataPort({ mac: [] }), guest()]), [])
  t.strictSame(plan([metadataPort({ mac: ['unknown'] }), guest()]), [])
  t.strictSame(plan([metadataPort({ type: '' }), guest()]), [])
  const monitor = metadataPort({}, { 'neutron:device_id': 'ovn-lb-hm-1' })
  t.strictSame(plan([monitor, guest()]), [], "a load balancer's health monitor")
  const wrong = metadataPort(
    { logical_port: 'a', mac: ['fa:16:3e:00:00:99 10.0.0.3'] },
    {
      'neutron:device_id': 'ovn-lb-hm-1',
    },
  )
  t.strictSame(plan([wrong, metadataPort(), guest()]), [expected])
})

t.test('planNetworks leaves out an MTU that none can have', async (t) => {
  for (const mtu of ['0', '', 'large', '70000', '67.5']) {
    const [made] = plan([metadataPort({}, { 'neutron:mtu': mtu }), guest()])
    t.equal(made?.mtu, undefined, mtu)
  }
})

t.test('planNetworks names networks by logical switches of Neutron alone', async (t) => {
  const ports = [metadataPort(), guest()]
  t.strictSame(plan(ports, [datapath(networkId, 'logical-router')]), [])
  t.strictSame(plan(ports, []), [])
  for (const id of ['../../../etc', 'not-a-uuid', `${networkId}/..`, networkId.toUpperCase()]) {
    const [, row] = datapath(id)
    t.strictSame(plan(ports, [[rowUuid(networkId), row]]), id === networkId ? [expected] : [], id)
  }
})

t.test('planNetworks serves one of two networks that would share a cable', async (t) => {
  const twin = 'ab111111-0000-4000-8000-000000000000'
  const ofTwin = { datapath: rowUuid(twin) }
  const ports = [metadataPort(), guest(), metadataPort(ofTwin), guest(ofTwin)]
  const datapaths = [datapath(networkId), datapath(twin)]
  t.match(plan(ports, datapaths), [{ networkId: twin }])
  t.equal(plan(ports, datapaths).length, 1)
})
