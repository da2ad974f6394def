import t from 'tap'
import { parseInstanceId } from '../../../../../lib/identity/ids.ts'
import { networksOf } from '../../../../../agent-side/ports/directory/port-directory.ts'
import type { NeutronPort } from '../../../../../agent-side/ports/directory/neutron-port.ts'
import {
  PortCopy,
  type CopyPart,
} from '../../../../../agent-side/ports/neutron-rpc/copy/port-copy.ts'
import type { Cover } from '../../../../../agent-side/ports/neutron-rpc/copy/cover.ts'
import { guest, networks } from '../../../../conformance/overlapping-topology.ts'
import { ip, routerId, portId, mac } from '../../../../conformance/topology.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const plain: CopyPart = { kind: 'network', networkId: networks.plain }
const twin: CopyPart = { kind: 'network', networkId: networks.twinOne }
const router: CopyPart = { kind: 'router', routerId: routerId(1) }

function held(number: number, address: string, revision?: number): NeutronPort {
  return { port: guest(number, 'plain', address), ...(revision !== undefined && { revision }) }
}

function interfaceOf(number: number): NeutronPort {
  const port = guest(number, 'plain', '10.0.0.1')
  const deviceOwner = 'network:router_interface'
  const row = { ...port, deviceOwner, instanceId: parseInstanceId(routerId(1)) }
  return { port: { ...row, instanceId: row.instanceId ?? port.instanceId }, revision: 1 }
}

function found(copy: PortCopy, address: string): readonly string[] {
  const query = { networkIds: [networks.plain], fixedIp: ip(address) }
  return copy.find(networks.plain, query).map((port) => port.portId)
}

function opened(clock = new FakeClock(100_000)): {
  readonly copy: PortCopy
  readonly clock: FakeClock
  readonly cover: () => Cover
} {
  const copy = new PortCopy({ clock, maxPorts: 1_000 })
  return { copy, clock, cover: () => copy.left(1) }
}

t.test('A push that was overtaken by its deletion brings no port back', async (t) => {
  const { copy, cover } = opened()
  copy.merge([plain], [held(1, '10.0.0.10', 1)], cover())
  t.strictSame(copy.apply({ kind: 'deleted', portId: portId(1) }), [plain])
  t.strictSame(copy.apply({ kind: 'updated', held: held(1, '10.0.0.10', 9) }), [])
  t.strictSame(found(copy, '10.0.0.10'), [])
})

t.test('A fetch that was answered before a deletion brings no port back', async (t) => {
  const { copy, clock, cover } = opened()
  const early = cover()
  copy.merge([plain], [held(1, '10.0.0.10', 1)], early)
  const asked = cover()
  await clock.advance(5)
  copy.apply({ kind: 'deleted', portId: portId(1) })
  copy.merge([plain], [held(1, '10.0.0.10', 1)], asked)
  t.strictSame(found(copy, '10.0.0.10'), [])
})

t.test('Of two tellings the higher revision counts, in whatever order they come', async (t) => {
  const { copy, cover } = opened()
  copy.merge([plain], [held(1, '10.0.0.10', 5)], cover())
  t.strictSame(copy.apply({ kind: 'updated', held: held(1, '10.0.0.66', 4) }), [])
  t.strictSame(found(copy, '10.0.0.66'), [])
  copy.apply({ kind: 'updated', held: held(1, '10.0.0.11', 6) })
  t.strictSame(found(copy, '10.0.0.10'), [], 'the old address is gone at once')
  copy.merge([plain], [held(1, '10.0.0.10', 5)], cover())
  t.strictSame(found(copy, '10.0.0.11'), [portId(1)], 'nor does a late fetch count')
})

t.test('Without revisions a push during the fetch counts more than its answer', async (t) => {
  const { copy, clock, cover } = opened()
  copy.merge([plain], [held(1, '10.0.0.10')], cover())
  const asked = cover()
  await clock.advance(5)
  copy.apply({ kind: 'updated', held: held(1, '10.0.0.11') })
  copy.merge([plain], [held(1, '10.0.0.10')], asked)
  t.strictSame(found(copy, '10.0.0.11'), [portId(1)])
  await clock.advance(10_000)
  copy.merge([plain], [held(1, '10.0.0.12')], cover())
  t.strictSame(found(copy, '10.0.0.12'), [portId(1)], 'a later fetch counts')
})

t.test('A port that was just pushed survives a fetch from a database that lags', async (t) => {
  const { copy, clock, cover } = opened()
  copy.merge([plain], [], cover())
  copy.apply({ kind: 'updated', held: held(1, '10.0.0.10', 1) })
  await clock.advance(1_000)
  copy.merge([plain], [], cover())
  t.strictSame(found(copy, '10.0.0.10'), [portId(1)])
  await clock.advance(10_000)
  const { changes, changedPorts } = copy.merge([plain], [], cover())
  t.strictSame(found(copy, '10.0.0.10'), [], 'a deletion that was never told')
  t.strictSame(changes, [plain])
  t.strictSame(changedPorts, [portId(1)])
})

t.test('A first fetch changes nothing that a cache could hold', async (t) => {
  const { copy, cover } = opened()
  t.strictSame(copy.merge([plain], [held(1, '10.0.0.10', 1)], cover()).changes, [])
  t.strictSame(copy.merge([plain], [held(1, '10.0.0.10', 2)], cover()).changes, [])
  t.strictSame(copy.merge([plain], [held(1, '10.0.0.11', 3)], cover()).changes, [plain])
})

t.test('Pushes of networks that are not held are reported and not kept', async (t) => {
  const { copy } = opened()
  t.strictSame(copy.apply({ kind: 'updated', held: held(1, '10.0.0.10', 1) }), [plain])
  t.equal(copy.size, 0)
})

t.test('A router gains and loses a network by pushes of its interfaces', async (t) => {
  const { copy, cover } = opened()
  copy.merge([router], [], cover())
  t.strictSame(networksOf(copy.interfacesOf(routerId(1))), [])
  t.strictSame(copy.apply({ kind: 'updated', held: interfaceOf(7) }), [plain, router])
  t.strictSame(networksOf(copy.interfacesOf(routerId(1))), [networks.plain])
  const freed = { ...interfaceOf(7), revision: 2 }
  const { instanceId: _, ...port } = freed.port
  t.strictSame(copy.apply({ kind: 'updated', held: { port, revision: 2 } }), [plain, router])
  t.strictSame(networksOf(copy.interfacesOf(routerId(1))), [])
})

t.test('A port that a router fetch no longer names puts its network in doubt', async (t) => {
  const { copy, clock, cover } = opened()
  copy.merge([plain], [interfaceOf(7)], cover())
  copy.merge([router], [interfaceOf(7)], cover())
  await clock.advance(10_000)
  copy.merge([router], [], cover())
  t.strictSame(networksOf(copy.interfacesOf(routerId(1))), [])
  t.equal(copy.cover(plain), undefined, 'it must be fetched before it is answered from')
})

t.test(
  'Above its bound the copy lets go of what was used longest ago, and reports it',
  async (t) => {
    const clock = new FakeClock()
    const copy = new PortCopy({ clock, maxPorts: 3 })
    copy.merge([plain], [held(1, '10.0.0.10'), held(2, '10.0.0.11')], copy.left(1))
    const others = [3, 4].map((number) => ({
      port: { ...guest(number, 'twinOne', `10.0.0.${number}`), macAddress: mac(number) },
    }))
    const { changes } = copy.merge([twin], others, copy.left(1))
    t.strictSame(changes, [plain])
    t.equal(copy.cover(plain), undefined)
    t.ok(copy.cover(twin))
    t.equal(copy.size, 2)
  },
)

t.test('Everything fetched covers each network and router', async (t) => {
  const { copy, cover } = opened()
  copy.merge([{ kind: 'all' }], [held(1, '10.0.0.10', 1), interfaceOf(7)], cover())
  t.ok(copy.cover(plain))
  t.ok(copy.cover(router))
  t.strictSame(networksOf(copy.interfacesOf(routerId(1))), [networks.plain])
  t.strictSame([...copy.all()].length, 2)
  copy.apply({ kind: 'updated', held: held(3, '10.0.0.13', 1) })
  t.strictSame(found(copy, '10.0.0.13'), [portId(3)])
})
