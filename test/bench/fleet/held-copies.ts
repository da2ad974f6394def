/** What does a central agent hold of a whole cloud? Rows go to its copies in this process, without a server. */
import { ChassisBindings } from '../../../agent-side/ports/ovn/chassis-bindings.ts'
import { SouthboundCopy } from '../../../agent-side/ports/ovn/southbound-copy.ts'
import type { CopyBuilder, MonitorSpec } from '../../../lib/ovsdb/monitor.ts'
import { datapathRows, guestRowOf, portRows, type Cloud } from './cloud-rows.ts'
import { fleetRow, type FleetRow } from './fleet-row.ts'
import { heldBytes, portsIn } from './measure.ts'

const hosts = 10_000
/** Of a network: the guests of one are spread a little. */
const hostsOfNetwork = 5

type Taker = Pick<CopyBuilder, 'add'>

/** Each row as it comes from the wire: its texts are its own. */
function* rowsOf(cloud: Cloud): Generator<Parameters<Taker['add']>[0], void, void> {
  for (let network = 0; network < cloud.networks; network += 1) {
    for (const [table, rows] of [
      ['Datapath_Binding', datapathRows(network, network + 1)],
      ['Port_Binding', portRows(cloud, network)],
    ] as const) {
      for (const [place, [uuid, row]] of Object.entries(rows).entries()) {
        const host = (network + (place % hostsOfNetwork)) % hosts
        const bound = table === 'Port_Binding' && row['type'] === ''
        const whole = { ...row, ...(bound && { chassis: ['uuid', guestRowOf(host, 255)] }) }
        const read = JSON.parse(JSON.stringify(whole)) as typeof row
        yield { kind: 'put', table, uuid, row: read }
      }
    }
  }
}

function held(cloud: Cloud, name: string, note: string, taker: Taker): FleetRow {
  const before = heldBytes()
  for (const change of rowsOf(cloud)) taker.add(change)
  const bytes = heldBytes() - before
  const each = Math.round(bytes / portsIn(cloud))
  const given = { name, portsInCloud: portsIn(cloud), networksOnHost: cloud.networks, hosts: 1 }
  return fleetRow({ ...given, heldBytes: bytes, note: `${each} bytes a port${note}` })
}

/** The ports, and where they are bound, one after the other. */
export function measureHeldCopies(cloud: Cloud): readonly FleetRow[] {
  const copy = new SouthboundCopy()
  const ports = held(cloud, 'copy of a central agent', '', { add: (change) => copy.apply(change) })
  let builder: CopyBuilder | undefined
  const addMonitor = ({ name, consumer }: MonitorSpec): { select(): void; selected: [] } => {
    if (name === 'bindings') builder = consumer.startCopy()
    return { select: () => undefined, selected: [] }
  }
  const bindings = new ChassisBindings({ addMonitor })
  const note = `, of ${hosts} chassis`
  const bound = held(cloud, 'bindings of a central agent', note, {
    add: (change) => {
      if (change.table === 'Port_Binding') builder?.add(change)
    },
  })
  builder?.finish()
  // Both are held until they have been measured.
  if (copy.portCount === 0 || bindings.isBound('', [])) throw new Error('Nothing was copied')
  return [ports, bound]
}
