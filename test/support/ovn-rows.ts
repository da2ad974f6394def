import { createHash } from 'node:crypto'
import type { FakeRow, FakeTables } from './fake-ovsdb.ts'
import type { RouterPort, Topology, TopologyPort } from '../conformance/topology.ts'

/** A UUID that follows from a name. */
export function rowUuid(name: string): string {
  const hex = createHash('sha1').update(name).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20, 32),
  ].join('-')
}

export function ovsMap(map: Readonly<Record<string, string>>): unknown {
  return ['map', Object.entries(map)]
}

function cidrs(port: TopologyPort | RouterPort): string {
  return port.fixedIps.map((ip) => `${ip}/${ip.includes(':') ? 64 : 24}`).join(' ')
}

function datapath(kind: 'switch' | 'router', id: string): [string, FakeRow] {
  const key = `logical-${kind}`
  const ids = { [key]: rowUuid(`nb-${id}`), name: `neutron-${id}`, name2: 'written-by-a-tenant' }
  return [rowUuid(id), { external_ids: ovsMap(ids) }]
}

/** One row of Port_Binding as northd makes it of a Neutron port. */
export function portRow(port: TopologyPort): FakeRow {
  return {
    logical_port: port.portId,
    type: '',
    mac: [port.macAddress, ...port.fixedIps].join(' '),
    datapath: ['uuid', rowUuid(port.networkId)],
    external_ids: ovsMap({
      'neutron:cidrs': cidrs(port),
      'neutron:device_id': port.instanceId ?? '',
      'neutron:device_owner': port.deviceOwner,
      'neutron:project_id': port.projectId,
      'neutron:revision_number': '3',
    }),
  }
}

/** Both sides of a router's interface: on the switch without addresses, on the router without device. */
function routerRows(routerId: string, projectId: string, port: RouterPort): [string, FakeRow][] {
  const onSwitch: FakeRow = {
    logical_port: port.portId,
    type: 'patch',
    mac: 'router',
    datapath: ['uuid', rowUuid(port.networkId)],
    external_ids: ovsMap({
      'neutron:cidrs': cidrs(port),
      'neutron:device_id': routerId,
      'neutron:device_owner': port.deviceOwner,
      'neutron:project_id': projectId,
    }),
  }
  const onRouter: FakeRow = {
    logical_port: `lrp-${port.portId}`,
    type: 'patch',
    mac: `${port.macAddress} ${cidrs(port)}`.trim(),
    datapath: ['uuid', rowUuid(routerId)],
    external_ids: ovsMap({ 'neutron:router_name': routerId }),
  }
  return [
    [rowUuid(port.portId), onSwitch],
    [rowUuid(`lrp-${port.portId}`), onRouter],
  ]
}

/** The rows of the southbound database for a topology, in the form of Neutron's driver and ovn-northd. */
export function southboundRows(topology: Topology): FakeTables {
  return {
    Port_Binding: Object.fromEntries([
      ...topology.ports.map((port) => [rowUuid(port.portId), portRow(port)] as const),
      ...topology.routers.flatMap(({ routerId, projectId, ports }) =>
        ports.flatMap((port) => routerRows(routerId, projectId, port)),
      ),
    ]),
    Datapath_Binding: Object.fromEntries([
      ...topology.networks.map(({ networkId }) => datapath('switch', networkId)),
      ...topology.routers.map(({ routerId }) => datapath('router', routerId)),
    ]),
    SB_Global: { [rowUuid('sb-global')]: { nb_cfg: 1 } },
    Chassis_Private: { [rowUuid('chassis')]: { name: 'host-1' } },
  }
}
