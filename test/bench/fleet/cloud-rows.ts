/** What does OVN's southbound database hold of a cloud? Rows by number, as Neutron's driver and ovn-northd write them. */

/** A cloud whose networks all have the same number of guests, two networks to a router. */
export interface Cloud {
  readonly networks: number
  readonly portsPerNetwork: number
}

/** Of one table, by UUID, in the notation of RFC 7047 §5.1. */
export type TableRows = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const networksPerRouter = 2
/** Beyond all guests. */
const interfaceNumber = 241
/** Tells the things of one number apart. */
const kinds = {
  network: 1,
  switch: 2,
  router: 3,
  routerPath: 4,
  port: 5,
  row: 6,
  guest: 7,
} as const

/** Its first word is spread: ovsdb-server hashes a UUID by nothing else. */
function idOf(kind: keyof typeof kinds, number: number): string {
  const spread = Math.imul(number * 8 + kinds[kind], 0x9e3779b1) >>> 0
  const rest = number.toString(16).padStart(12, '0')
  return `${spread.toString(16).padStart(8, '0')}-0000-4${kinds[kind]}00-8000-${rest}`
}

/** The id of a network in Neutron. */
export function networkIdOf(number: number): string {
  return idOf('network', number)
}

/** The UUID of a network's row of Datapath_Binding. */
export function datapathOf(network: number): string {
  return idOf('switch', network)
}

/** The id of the port by which a network's router is on it. */
export function interfaceOf(network: number): string {
  return idOf('port', network * 256 + interfaceNumber)
}

/** The UUID of the row of a guest's port. */
export function guestRowOf(network: number, guest: number): string {
  return idOf('row', network * 256 + guest)
}

function map(pairs: Readonly<Record<string, string>>): unknown {
  return ['map', Object.entries(pairs)]
}

/** The instance of a guest. */
export function guestIdOf(network: number, guest: number): string {
  return idOf('guest', network * 256 + guest)
}

/** The MAC of a guest. */
export function macOf(network: number, guest: number): string {
  const hex = ((network * 256 + guest) % 2 ** 40).toString(16).padStart(10, '0')
  return `fa:${(hex.match(/../g) ?? []).join(':')}`
}

/** The address of a guest; every network has the same ones. */
export function addressOf(guest: number): string {
  return `10.0.0.${guest + 10}`
}

function port(
  network: number,
  guest: number,
  owner: { readonly type: string; readonly device: string; readonly deviceOwner: string },
  address: string,
): Record<string, unknown> {
  const name = idOf('port', network * 256 + guest)
  const number = network * 256 + guest
  return {
    logical_port: name,
    type: owner.type,
    datapath: ['uuid', datapathOf(network)],
    tunnel_key: guest + 1,
    mac: owner.type === 'patch' ? 'router' : `${macOf(network, guest)} ${address}`,
    up: true,
    options: map(
      owner.type === 'patch'
        ? { peer: `lrp-${name}` }
        : { 'requested-chassis': `host-${network % 1_000}` },
    ),
    external_ids: map({
      'neutron:cidrs': `${address}/24`,
      'neutron:device_id': owner.device,
      'neutron:device_owner': owner.deviceOwner,
      'neutron:host_id': `host-${network % 1_000}`,
      'neutron:network_name': `neutron-${networkIdOf(network)}`,
      'neutron:port_capabilities': '',
      'neutron:port_name': '',
      'neutron:project_id': `50000000000000000000${(network % 5_000).toString(16).padStart(12, '0')}`,
      'neutron:revision_number': '4',
      'neutron:security_group_ids': idOf('row', number),
      'neutron:subnet_pool_addr_scope4': '',
      'neutron:subnet_pool_addr_scope6': '',
      'neutron:vnic_type': 'normal',
    }),
  }
}

/** The ports of a network: its guests, the metadata port, and both sides of the router's interface. */
export function portRows(cloud: Cloud, network: number): TableRows {
  const rows: Record<string, Record<string, unknown>> = {}
  for (let guest = 0; guest < cloud.portsPerNetwork; guest += 1) {
    const device = guestIdOf(network, guest)
    const owner = { type: '', device, deviceOwner: 'compute:nova' }
    rows[guestRowOf(network, guest)] = port(network, guest, owner, addressOf(guest))
  }
  const router = Math.floor(network / networksPerRouter)
  const metadata = {
    type: 'localport',
    device: `ovnmeta-${networkIdOf(network)}`,
    deviceOwner: 'network:distributed',
  }
  rows[guestRowOf(network, 240)] = port(network, 240, metadata, '10.0.0.2')
  const inside = {
    type: 'patch',
    device: idOf('router', router),
    deviceOwner: 'network:router_interface',
  }
  rows[guestRowOf(network, interfaceNumber)] = port(network, interfaceNumber, inside, '10.0.0.1')
  const name = interfaceOf(network)
  rows[guestRowOf(network, 242)] = {
    logical_port: `lrp-${name}`,
    type: 'patch',
    datapath: ['uuid', idOf('routerPath', router)],
    tunnel_key: (network % networksPerRouter) + 1,
    mac: `${macOf(network, interfaceNumber)} 10.0.0.1/24`,
    options: map({ peer: name }),
    external_ids: map({ 'neutron:router_name': idOf('router', router) }),
  }
  return rows
}

/** The datapaths of some networks, and of the routers that begin among them. */
export function datapathRows(from: number, to: number): TableRows {
  const rows: Record<string, Record<string, unknown>> = {}
  for (let network = from; network < to; network += 1) {
    rows[datapathOf(network)] = {
      tunnel_key: 2 * network + 1,
      external_ids: map({
        'logical-switch': idOf('network', network),
        name: `neutron-${networkIdOf(network)}`,
        name2: `network ${network}`,
      }),
    }
    if (network % networksPerRouter !== 0) continue
    const router = network / networksPerRouter
    rows[idOf('routerPath', router)] = {
      tunnel_key: 2 * network + 2,
      external_ids: map({
        'logical-router': idOf('router', router),
        name: `neutron-${idOf('router', router)}`,
        name2: `router ${router}`,
      }),
    }
  }
  return rows
}
