import t from 'tap'
import { ChassisBindings } from '../../../../agent-side/ports/ovn/chassis-bindings.ts'
import type { MonitorSpec } from '../../../../lib/ovsdb/monitor.ts'
import type { RowChange } from '../../../../lib/ovsdb/table-updates.ts'
import { uuid } from '../../../conformance/topology.ts'

const [network, other] = [uuid('a', 1), uuid('a', 2)]
const [hostA, hostB] = [uuid('c', 1), uuid('c', 2)]
const [port, second] = [uuid('b', 1), uuid('b', 2)]

type Row = Readonly<Record<string, unknown>>

/** Stands for the client: what the server sends goes to the consumer of the table. */
class Server {
  readonly specs: MonitorSpec[] = []
  readonly bindings = new ChassisBindings({
    addMonitor: (spec) => {
      this.specs.push(spec)
      return { select: () => undefined, selected: [] }
    },
  })

  copy(rows: Readonly<Record<string, Readonly<Record<string, Row>>>>): void {
    for (const { tables, consumer } of this.specs) {
      const builder = consumer.startCopy()
      for (const table of Object.keys(tables)) {
        for (const [id, row] of Object.entries(rows[table] ?? {})) {
          builder.add({ kind: 'put', table, uuid: id, row })
        }
      }
      builder.finish()
    }
  }

  send(change: RowChange): void {
    for (const { tables, consumer } of this.specs) {
      if (change.table in tables) consumer.apply([change])
    }
  }

  modify(table: string, id: string, row: Row): void {
    this.send({ kind: 'modify', table, uuid: id, row })
  }

  bound(host: string): readonly string[] {
    return [network, other].filter((datapath) => this.bindings.isBound(host, [datapath]))
  }
}

function ref(id: string): unknown {
  return ['uuid', id]
}

function started(): Server {
  const server = new Server()
  server.copy({
    Chassis: {
      [hostA]: { name: 'system-a', hostname: 'host-a.example' },
      [hostB]: { name: 'system-b', hostname: 'host-b.example' },
    },
    Port_Binding: {
      [port]: { datapath: ref(network), chassis: ref(hostA) },
      [second]: { datapath: ref(other) },
    },
  })
  return server
}

t.test('ChassisBindings knows no host before a copy, nor one of no chassis', async (t) => {
  t.strictSame(new Server().bound('host-a.example'), [])
  for (const host of ['host-c.example', '', 'host-a']) t.strictSame(started().bound(host), [], host)
})

t.test(
  'ChassisBindings finds a chassis by name and by hostname, without regard to case',
  async (t) => {
    for (const host of ['system-a', 'host-a.example', 'HOST-A.example']) {
      t.strictSame(started().bound(host), [network], host)
    }
    t.strictSame(started().bound('system-b'), [])
  },
)

t.test('ChassisBindings follows a port through a live migration', async (t) => {
  const server = started()
  server.modify('Port_Binding', port, { additional_chassis: ref(hostB) })
  t.strictSame([server.bound('system-a'), server.bound('system-b')], [[network], [network]])
  // The port is on the target, which is additional no more.
  server.modify('Port_Binding', port, { chassis: ref(hostB), additional_chassis: ref(hostB) })
  t.strictSame([server.bound('system-a'), server.bound('system-b')], [[], [network]])
  server.modify('Port_Binding', port, { chassis: ['set', []] })
  t.strictSame(server.bound('system-b'), [])
})

t.test('ChassisBindings keeps a network while any of its ports is on the host', async (t) => {
  const server = started()
  server.modify('Port_Binding', second, { chassis: ref(hostA) })
  t.strictSame(server.bound('system-a'), [network, other])
  server.modify('Port_Binding', second, { datapath: ref(network) })
  t.strictSame(server.bound('system-a'), [network])
  server.send({ kind: 'delete', table: 'Port_Binding', uuid: port })
  t.strictSame(server.bound('system-a'), [network])
  server.send({ kind: 'delete', table: 'Port_Binding', uuid: second })
  t.strictSame(server.bound('system-a'), [])
})

t.test('ChassisBindings gives a name that two chassis have to neither', async (t) => {
  const server = started()
  server.modify('Chassis', hostB, { hostname: 'Host-A.example' })
  t.strictSame(server.bound('host-a.example'), [])
  t.strictSame(server.bound('system-a'), [network], 'the other name is its own')
  server.send({ kind: 'delete', table: 'Chassis', uuid: hostB })
  t.strictSame(server.bound('host-a.example'), [network])
  const impostor = started()
  impostor.modify('Chassis', hostB, { hostname: 'system-a' })
  t.strictSame(impostor.bound('system-a'), [])
})

t.test(
  'ChassisBindings forgets a chassis that is gone, and all rows of an older copy',
  async (t) => {
    const server = started()
    server.send({ kind: 'delete', table: 'Chassis', uuid: hostA })
    t.strictSame(server.bound('system-a'), [])
    const again = started()
    again.copy({ Chassis: { [hostA]: { name: 'system-a' } } })
    t.strictSame(again.bound('system-a'), [])
  },
)

t.test('ChassisBindings takes no difference to a row that it does not have', async (t) => {
  t.throws(
    () => started().modify('Port_Binding', uuid('b', 9), { chassis: ref(hostA) }),
    /not in the copy/,
  )
})

t.test('ChassisBindings monitors bindings of OVN before 22.06 too', async (t) => {
  const older = started().specs.flatMap((spec) => Object.entries(spec.older ?? {}))
  t.strictSame(older, [['Port_Binding', { columns: ['datapath', 'chassis'] }]])
})
