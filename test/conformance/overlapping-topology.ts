import {
  instanceId,
  ip,
  mac,
  networkId,
  portId,
  projectId,
  routerId,
  type RouterPort,
  type Topology,
  type TopologyPort,
} from './topology.ts'

/** The networks of {@link overlappingTopology}, by what is special about them. */
export const networks = {
  plain: networkId(1),
  distributed: networkId(2),
  highlyAvailable: networkId(3),
  /** On one router, and with the same subnet. */
  twinOne: networkId(4),
  twinTwo: networkId(5),
  isolated: networkId(6),
  /** Outside: routers have gateways there and no interface. */
  external: networkId(7),
  unknown: networkId(99),
} as const

export const routers = {
  plain: routerId(1),
  distributed: routerId(2),
  highlyAvailable: routerId(3),
  twins: routerId(4),
  withoutInterface: routerId(5),
  unknown: routerId(99),
} as const

/** Two ports have it on `networks.plain`, which Neutron would refuse and a stale copy may show. */
export const sharedAddress = ip('10.0.0.77')

function routerPort(
  number: number,
  network: keyof typeof networks,
  deviceOwner: string,
  ...fixedIps: readonly string[]
): RouterPort {
  return {
    portId: portId(number),
    networkId: networks[network],
    macAddress: mac(number),
    fixedIps: fixedIps.map(ip),
    deviceOwner,
  }
}

/** An instance's port: id, MAC and instance follow from its number, the project from the network. */
export function guest(
  number: number,
  network: keyof typeof networks,
  ...fixedIps: readonly string[]
): TopologyPort & { readonly instanceId: ReturnType<typeof instanceId> } {
  return {
    portId: portId(number),
    networkId: networks[network],
    macAddress: mac(number),
    fixedIps: fixedIps.map(ip),
    projectId: projectId(1),
    instanceId: instanceId(number),
    deviceOwner: 'compute:nova',
  }
}

/** The ports that tests ask for by name. */
export const guests = {
  plain: guest(0x110, 'plain', '10.0.0.10', 'fd00::10'),
  plainNeighbour: guest(0x111, 'plain', '10.0.0.11', 'fd00::11'),
  distributed: guest(0x210, 'distributed', '10.0.0.10'),
  highlyAvailable: guest(0x310, 'highlyAvailable', '10.0.0.10'),
  twinOne: guest(0x410, 'twinOne', '10.0.0.10'),
  twinTwo: guest(0x510, 'twinTwo', '10.0.0.10'),
  isolated: guest(0x610, 'isolated', '10.0.0.10', 'fd00::10'),
  sharingOne: guest(0x177, 'plain', sharedAddress),
  sharingTwo: guest(0x178, 'plain', sharedAddress),
  twoAddresses: guest(0x120, 'plain', '10.0.0.20', '10.0.0.21', 'fd00::20'),
  withoutAddress: guest(0x130, 'plain'),
} as const

/** A port that belongs to nothing: made before its server, or left behind. */
export const orphan: TopologyPort = {
  portId: portId(0x140),
  networkId: networks.plain,
  macAddress: mac(0x140),
  fixedIps: [ip('10.0.0.40')],
  projectId: projectId(1),
  deviceOwner: '',
}

const plainOwner = 'network:router_interface'

/**
 * Six networks of one subnet, 10.0.0.0/24 (and fd00::/64), where the same addresses belong to different
 * instances; routers of every kind Neutron has.
 */
export function overlappingTopology(): Topology {
  const described = Object.entries(networks).filter(([name]) => name !== 'unknown')
  return {
    networks: described.map(([, id]) => ({ networkId: id, projectId: projectId(1) })),
    routers: [
      {
        routerId: routers.plain,
        projectId: projectId(1),
        ports: [
          routerPort(0x101, 'plain', plainOwner, '10.0.0.1'),
          // One interface per subnet: IPv6 has its own, on the same network.
          routerPort(0x102, 'plain', plainOwner, 'fd00::1'),
          routerPort(0x103, 'external', 'network:router_gateway', '203.0.113.5'),
        ],
      },
      {
        routerId: routers.distributed,
        projectId: projectId(1),
        ports: [
          routerPort(0x201, 'distributed', 'network:router_interface_distributed', '10.0.0.1'),
          routerPort(0x202, 'distributed', 'network:router_centralized_snat', '10.0.0.2'),
        ],
      },
      {
        routerId: routers.highlyAvailable,
        projectId: projectId(1),
        ports: [
          routerPort(
            0x301,
            'highlyAvailable',
            'network:ha_router_replicated_interface',
            '10.0.0.1',
          ),
        ],
      },
      {
        routerId: routers.twins,
        projectId: projectId(1),
        ports: [
          routerPort(0x401, 'twinOne', plainOwner, '10.0.0.1'),
          routerPort(0x501, 'twinTwo', plainOwner, '10.0.0.1'),
        ],
      },
      {
        routerId: routers.withoutInterface,
        projectId: projectId(1),
        ports: [routerPort(0x701, 'external', 'network:router_gateway', '203.0.113.6')],
      },
    ],
    ports: [...Object.values(guests), orphan],
  }
}
