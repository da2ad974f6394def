import t from 'tap'
import type { NetworkId } from '../../../../lib/identity/ids.ts'
import { planPlugs } from '../../../../proxy/ovn-provision/planner/plan-plugs.ts'
import type { SwitchRows } from '../../../../proxy/ovn-provision/planner/switch-rows.ts'

const networkId = '11111111-0000-4000-8000-000000000001' as NetworkId
const link = 'tap11111111-00'
const wanted = [{ networkId, link, logicalPort: 'metadata' }]
const marks = new Map([
  ['iface-id', 'metadata'],
  ['overlapd:network', networkId],
])

interface Plugged {
  readonly bridge: string
  readonly ids?: ReadonlyMap<string, string>
  readonly name?: string
}

function rows(bridges: readonly string[], plugged: readonly Plugged[]): SwitchRows {
  const named = plugged.map((one, index) => ({ ...one, index, name: one.name ?? link }))
  return {
    bridges: new Map(
      bridges.map((name) => {
        const ports = named
          .filter(({ bridge }) => bridge === name)
          .map(({ index }) => `port-${index}`)
        return [name, { name, datapath_type: '', ports }]
      }),
    ),
    ports: new Map(
      named.map(({ index, name }) => [`port-${index}`, { name, interfaces: [`if-${index}`] }]),
    ),
    interfaces: new Map(
      named.map(({ index, name, ids = new Map() }) => [`if-${index}`, { name, external_ids: ids }]),
    ),
  }
}

const nothing = { pulled: new Map<string, string>(), isStaying: () => false }
const staying = { ...nothing, isStaying: (id: string) => id === networkId }

function operationsOf(changes: ReturnType<typeof planPlugs>): readonly unknown[] {
  return changes.flatMap(({ operations }) => operations)
}

function portsOperation(bridge: string, mutator: string, port: unknown): unknown {
  return {
    op: 'mutate',
    table: 'Bridge',
    where: [['name', '==', bridge]],
    mutations: [['ports', mutator, ['set', [port]]]],
  }
}

t.test('planPlugs plugs a cable with the name of its logical port', async (t) => {
  const [change, ...others] = planPlugs(rows(['br-int'], []), 'br-int', wanted, staying)
  t.strictSame(others, [])
  t.match(change, {
    networkId,
    operations: [
      {
        op: 'insert',
        table: 'Interface',
        row: {
          name: link,
          external_ids: [
            'map',
            [
              ['iface-id', 'metadata'],
              ['overlapd:network', networkId],
            ],
          ],
        },
      },
      { op: 'insert', table: 'Port', row: { name: link } },
      { op: 'mutate', table: 'Bridge', where: [['name', '==', 'br-int']] },
    ],
  })
})

t.test('planPlugs does nothing for what is plugged', async (t) => {
  const there = rows(['br-int'], [{ bridge: 'br-int', ids: marks }])
  t.strictSame(planPlugs(there, 'br-int', wanted, staying), [])
  t.strictSame(planPlugs(there, 'br-int', [], staying), [], 'its cable is not known yet')
})

t.test('planPlugs waits for a bridge that is not there', async (t) => {
  t.strictSame(planPlugs(rows([], []), 'br-int', wanted, staying), [])
})

t.test('planPlugs moves a cable from a foreign bridge', async (t) => {
  const there = rows(['br-int', 'other'], [{ bridge: 'other', ids: marks }])
  t.strictSame(operationsOf(planPlugs(there, 'br-int', wanted, staying)), [
    portsOperation('other', 'delete', ['uuid', 'port-0']),
    portsOperation('br-int', 'insert', ['uuid', 'port-0']),
  ])
})

t.test('planPlugs corrects a logical port and puts our mark on what others plugged', async (t) => {
  for (const ids of [new Map([['iface-id', 'metadata']]), new Map([...marks, ['iface-id', 'x']])]) {
    const there = rows(['br-int'], [{ bridge: 'br-int', ids }])
    t.match(operationsOf(planPlugs(there, 'br-int', wanted, staying)), [
      {
        op: 'mutate',
        table: 'Interface',
        where: [['name', '==', link]],
        mutations: [
          ['external_ids', 'delete', ['set', ['iface-id', 'overlapd:network']]],
          ['external_ids', 'insert', ['map', [...marks]]],
        ],
      },
    ])
  }
})

t.test('planPlugs pulls what bears our mark and is not needed', async (t) => {
  const there = rows(['br-int'], [{ bridge: 'br-int', ids: marks }])
  t.strictSame(operationsOf(planPlugs(there, 'br-int', [], nothing)), [
    portsOperation('br-int', 'delete', ['uuid', 'port-0']),
  ])
})

t.test(
  'planPlugs pulls by name what the supervisor took away, but nothing of an instance',
  async (t) => {
    const rules = { pulled: new Map([[networkId as string, link]]), isStaying: () => false }
    const unmarked = rows(['br-int'], [{ bridge: 'br-int' }])
    t.equal(planPlugs(unmarked, 'br-int', [], rules).length, 1)
    t.strictSame(planPlugs(unmarked, 'br-int', [], nothing), [])
    const ids = new Map([['vm-uuid', 'an-instance']])
    t.strictSame(planPlugs(rows(['br-int'], [{ bridge: 'br-int', ids }]), 'br-int', [], rules), [])
    t.strictSame(planPlugs(unmarked, 'br-int', [], { ...rules, isStaying: () => true }), [])
  },
)
