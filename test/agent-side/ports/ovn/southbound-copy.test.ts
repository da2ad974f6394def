import t from 'tap'
import { networksOf } from '../../../../agent-side/ports/directory/port-directory.ts'
import { SouthboundCopy } from '../../../../agent-side/ports/ovn/southbound-copy.ts'
import { OvsdbError } from '../../../../lib/ovsdb/ovsdb-error.ts'
import type { RowChange } from '../../../../lib/ovsdb/table-updates.ts'
import {
  guest,
  networks,
  overlappingTopology,
  routers,
} from '../../../conformance/overlapping-topology.ts'
import { ip, mac, type Topology, type TopologyPort } from '../../../conformance/topology.ts'
import { identities } from '../../../conformance/port-questions.ts'
import type { FakeRow } from '../../../support/fake-ovsdb.ts'
import { SeededRandom } from '../../../support/random.ts'
import { ovsMap, portRow, rowUuid, southboundRows } from '../../../support/ovn-rows.ts'

function put(table: string, uuid: string, row: FakeRow): RowChange {
  return { kind: 'put', table, uuid, row }
}

function changesOf(topology: Topology): RowChange[] {
  return Object.entries(southboundRows(topology)).flatMap(([table, rows]) =>
    Object.entries(rows).map(([uuid, row]) => put(table, uuid, row)),
  )
}

function copyOf(topology: Topology): SouthboundCopy {
  const copy = new SouthboundCopy()
  for (const change of changesOf(topology)) copy.apply(change)
  return copy
}

const plain = { networkIds: [networks.plain] }
const one = guest(0x900, 'plain', '10.0.0.90')

/** A copy with the usual topology and one more port, some of whose columns are different. */
function withRow(row: FakeRow): SouthboundCopy {
  const copy = copyOf(overlappingTopology())
  copy.applyAll([put('Port_Binding', rowUuid(one.portId), { ...portRow(one), ...row })])
  return copy
}

t.test('SouthboundCopy answers the same in whatever order the rows came', async (t) => {
  const changes = changesOf(overlappingTopology())
  const orders = [
    changes,
    changes.toReversed(),
    changes.toSorted((a, b) => a.uuid.localeCompare(b.uuid)),
  ]
  for (const order of orders) {
    const copy = new SouthboundCopy()
    for (const change of order) copy.apply(change)
    t.strictSame(
      copy
        .interfacesOfRouter(routers.twins)
        .map(({ networkId }) => networkId)
        .sort(),
      [networks.twinOne, networks.twinTwo],
    )
    const [port] = copy.find({ ...plain, fixedIp: ip('10.0.0.1') })
    t.equal(port?.macAddress, mac(0x101), 'the MAC is told by the router side')
    t.equal(copy.portCount, overlappingTopology().ports.length + 9)
  }
})

const readings: readonly (readonly [string, FakeRow, readonly string[], string | undefined])[] = [
  [
    'upper case and other forms',
    { mac: 'FA:16:3E:00:09:00 10.0.0.90 FD00:0:0::90' },
    ['10.0.0.90', 'fd00::90'],
    mac(0x900),
  ],
  [
    '"unknown" beside the MAC',
    { mac: ['set', ['fa:16:3e:00:09:00 10.0.0.90', 'unknown']] },
    ['10.0.0.90'],
    mac(0x900),
  ],
  [
    'bare MACs of allowed address pairs',
    { mac: ['set', ['00:00:5e:00:01:01', 'fa:16:3e:00:09:00 10.0.0.90']] },
    ['10.0.0.90'],
    mac(0x900),
  ],
  [
    'a MAC without addresses',
    { mac: 'fa:16:3e:00:09:00', external_ids: ovsMap({ 'neutron:cidrs': '' }) },
    [],
    mac(0x900),
  ],
  ['addresses in neutron:cidrs only', { mac: 'fa:16:3e:00:09:00' }, ['10.0.0.90'], mac(0x900)],
  [
    'words that are no address',
    { mac: '  fa:16:3e:00:09:00   dynamic 10.0.0.90 10.0.0.300 ' },
    ['10.0.0.90'],
    mac(0x900),
  ],
  [
    'several bare MACs',
    { mac: ['set', ['fa:16:3e:00:09:00', '00:00:5e:00:01:01']] },
    [],
    undefined,
  ],
  ['"unknown" alone', { mac: 'unknown' }, [], undefined],
  ['an empty set', { mac: ['set', []] }, [], undefined],
  ['a name that is no port id', { logical_port: 'a b/../c' }, [], undefined],
]

for (const [name, row, fixedIps, macAddress] of readings) {
  t.test(`SouthboundCopy reads a row with ${name}`, async (t) => {
    const copy = withRow(row)
    const found = [
      ...copy.find({ ...plain, fixedIp: ip('10.0.0.90'), macAddress: mac(0x900) }),
      ...copy.find({ ...plain, macAddress: mac(0x901) }),
    ]
    if (macAddress === undefined) {
      t.strictSame(found, [])
      t.equal(
        copy.noPorts
          .filter(([reason]) => reason !== 'router_side')
          .reduce((sum, [, n]) => sum + n, 0),
        1,
      )
    } else {
      t.strictSame(
        found.map((port) => [port.macAddress, [...port.fixedIps]]),
        [[macAddress, fixedIps]],
      )
    }
  })
}

t.test('SouthboundCopy never takes a MAC from an allowed address pair for a port', async (t) => {
  const pair = guest(0x110, 'plain').macAddress
  const copy = withRow({ mac: ['set', [pair, `${one.macAddress} 10.0.0.90`]] })
  t.strictSame(
    copy.find({ ...plain, macAddress: pair }).map((port) => port.macAddress),
    [pair],
  )
  t.strictSame(copy.find({ ...plain, macAddress: pair }).length, 1)
})

t.test(
  'SouthboundCopy gives ports without keys of Neutron as ports without an instance',
  async (t) => {
    const [port] = withRow({ external_ids: ovsMap({}) }).find({
      ...plain,
      fixedIp: ip('10.0.0.90'),
    })
    t.equal(port?.portId, one.portId)
    t.notOk(port?.instanceId)
    t.notOk(port?.projectId)
  },
)

t.test('SouthboundCopy holds the addresses of metadata ports like any other', async (t) => {
  const ids = {
    'neutron:device_id': `ovnmeta-${networks.plain}`,
    'neutron:device_owner': 'network:distributed',
  }
  const copy = withRow({ type: 'localport', external_ids: ovsMap(ids) })
  t.match(copy.find({ ...plain, fixedIp: ip('10.0.0.90') }), [
    { instanceId: ids['neutron:device_id'] },
  ])
})

t.test('SouthboundCopy trusts only OVN that a router is attached, not a tenant', async (t) => {
  const ids = {
    'neutron:device_id': routers.plain,
    'neutron:device_owner': 'network:router_interface',
  }
  const forged = { ...guest(0x901, 'isolated', '10.0.0.91') }
  const copy = copyOf(overlappingTopology())
  copy.applyAll([
    put('Port_Binding', rowUuid('forged'), { ...portRow(forged), external_ids: ovsMap(ids) }),
  ])
  t.strictSame(networksOf(copy.interfacesOfRouter(routers.plain)), [networks.plain])
})

t.test('SouthboundCopy knows no network without the prefix, and none of a router', async (t) => {
  const datapath = rowUuid('foreign')
  const names: readonly Record<string, string>[] = [
    { name: networks.plain, 'logical-switch': rowUuid('x') },
    { name: 'neutron-', 'logical-switch': rowUuid('x') },
    { name: `neutron-${networks.plain}`, 'logical-router': rowUuid('x') },
    {},
  ]
  for (const ids of names) {
    const copy = copyOf(overlappingTopology())
    const row = { ...portRow(one), datapath: ['uuid', datapath] }
    copy.applyAll([
      put('Datapath_Binding', datapath, { external_ids: ovsMap(ids) }),
      put('Port_Binding', rowUuid(one.portId), row),
    ])
    t.strictSame(copy.find({ ...plain, fixedIp: ip('10.0.0.90') }), [], JSON.stringify(ids))
  }
})

t.test('SouthboundCopy.applyAll() names what it touched, and nothing else', async (t) => {
  const copy = copyOf(overlappingTopology())
  const uuid = rowUuid(guest(0x110, 'plain').portId)
  const modify = (row: FakeRow): RowChange => ({ kind: 'modify', table: 'Port_Binding', uuid, row })
  const names = (changes: RowChange[]): unknown => {
    const touched = copy.applyAll(changes)
    const [both, routers] = [[...touched.networkIds], [...touched.routerIds]]
    const isName = (id: string): boolean => Object.values(networks).some((name) => name === id)
    const ids = both.filter(isName)
    const rows = ids.map(rowUuid)
    t.strictSame(both.filter((id) => !isName(id)).sort(), rows.sort(), 'by their older names too')
    return { networks: ids, routers }
  }
  const none = { networks: [], routers: [] }
  t.strictSame(names([modify({ external_ids: ovsMap({ 'neutron:revision_number': '9' }) })]), none)
  t.strictSame(names([modify({ external_ids: ovsMap({ 'neutron:device_id': 'x' }) })]), {
    networks: [networks.plain],
    routers: [],
  })
  t.strictSame(names([modify({ datapath: ['uuid', rowUuid(networks.isolated)] })]), {
    networks: [networks.plain, networks.isolated],
    routers: [],
  })
  const side: RowChange = {
    kind: 'modify',
    table: 'Port_Binding',
    uuid: rowUuid(`lrp-${guest(0x401, 'twinOne').portId}`),
    row: { mac: ['set', ['fa:16:3e:00:04:01 10.0.0.1/24', 'fa:16:3e:77:77:77 10.0.0.1/24']] },
  }
  t.strictSame(
    names([side]),
    { networks: [networks.twinOne], routers: [routers.twins] },
    'the other side of a router interface',
  )
  t.match(copy.find({ networkIds: [networks.twinOne], macAddress: mac(0x777777) }), [
    { deviceOwner: 'network:router_interface' },
  ])
  t.strictSame(
    names([{ kind: 'delete', table: 'Datapath_Binding', uuid: rowUuid(networks.twinTwo) }]),
    { networks: [networks.twinTwo], routers: [routers.twins] },
  )
})

t.test('SouthboundCopy refuses a difference to a row that it does not hold', async (t) => {
  const copy = copyOf(overlappingTopology())
  for (const table of ['Port_Binding', 'Datapath_Binding']) {
    const change: RowChange = { kind: 'modify', table, uuid: rowUuid('never seen'), row: {} }
    t.throws(() => copy.applyAll([change]), OvsdbError)
  }
  t.throws(() => copy.applyAll([put('Port_Binding', 'no-uuid', portRow(one))]), OvsdbError)
  t.throws(
    () => copy.applyAll([put('Port_Binding', rowUuid('x'), { ...portRow(one), mac: 5 })]),
    OvsdbError,
  )
})

t.test('SouthboundCopy agrees with a plain list through random changes', async (t) => {
  const names = ['plain', 'distributed', 'isolated'] as const
  for (const seed of [1, 2, 3]) {
    const numbers = new SeededRandom(seed)
    const pick = (limit: number): number => numbers.below(limit)
    const copy = copyOf({ ...overlappingTopology(), routers: [], ports: [] })
    const held = new Map<string, TopologyPort>()
    const randomPort = (number: number): TopologyPort => ({
      ...guest(
        number,
        names[pick(3)] ?? 'plain',
        `10.0.0.${pick(40)}`,
        ...(pick(2) ? [`fd00::${pick(40) + 1}`] : []),
      ),
      macAddress: mac(pick(60)),
    })
    for (let round = 0; round < 1_500; round += 1) {
      const changes = Array.from({ length: 1 + pick(3) }, (): RowChange => {
        const number = 0x2000 + pick(200)
        const port = randomPort(number)
        const uuid = rowUuid(port.portId)
        if (pick(3) === 0) {
          held.delete(port.portId)
          return { kind: 'delete', table: 'Port_Binding', uuid }
        }
        const before = held.get(port.portId)
        held.set(port.portId, port)
        if (before === undefined || pick(2) === 0) return put('Port_Binding', uuid, portRow(port))
        const [old, now] = [portRow(before), portRow(port)]
        const row = {
          ...(old['mac'] !== now['mac'] && { mac: ['set', [old['mac'], now['mac']]] }),
          ...(before.networkId !== port.networkId && { datapath: now['datapath'] }),
          ...(old['external_ids'] !== now['external_ids'] && {
            external_ids: cidrDifference(old, now),
          }),
        }
        return { kind: 'modify', table: 'Port_Binding', uuid, row }
      })
      // One transaction changes a row once.
      if (new Set(changes.map(({ uuid }) => uuid)).size < changes.length)
        for (const change of changes) copy.applyAll([change])
      else copy.applyAll(changes)
      const asked = {
        networkIds: names.slice(0, 1 + pick(3)).map((name) => networks[name]),
        fixedIp: ip(pick(2) ? `10.0.0.${pick(40)}` : `fd00::${pick(40) + 1}`),
        macAddress: mac(pick(60)),
      }
      const expected = [...held.values()].filter(
        (port) =>
          asked.networkIds.includes(port.networkId) &&
          (port.fixedIps.includes(asked.fixedIp) || port.macAddress === asked.macAddress),
      )
      const found = copy.find(asked)
      if (JSON.stringify(identities(found)) !== JSON.stringify(identities(expected))) {
        t.strictSame(identities(found), identities(expected), `seed ${seed}, round ${round}`)
        return
      }
    }
    const owned = [...copy.allPorts()].filter((port) => !port.deviceOwner?.startsWith('network:'))
    t.strictSame(identities(owned), identities([...held.values()]), `seed ${seed}`)
  }
})

/** How monitor_cond tells of the one key of external_ids that differs. */
function cidrDifference(old: FakeRow, now: FakeRow): unknown {
  const cidrs = (row: FakeRow): string => {
    const [, pairs] = row['external_ids'] as [string, [string, string][]]
    return new Map(pairs).get('neutron:cidrs') ?? ''
  }
  return ovsMap(cidrs(old) === cidrs(now) ? {} : { 'neutron:cidrs': cidrs(now) })
}
