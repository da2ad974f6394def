/** What is in this OpenStack? Three guests whose addresses are the same, and networks with many guests. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NeutronApi, type ShownPort } from './neutron-api.ts'
import type { Place } from './place.ts'
import type { KeystoneSeed } from './services/keystone.ts'
import { hostName } from './services/host-name.ts'
import { createInstances, type NovaInstance } from './services/nova.ts'
import { acknowledge, bindPorts } from './services/ovn.ts'

/** One guest, known to Nova and to both Neutrons. */
export interface Guest {
  readonly name: 'a' | 'b' | 'isolated'
  readonly instance: NovaInstance
  readonly network: Network
  /** The same guest in the Neutron with OVN. */
  readonly ovn: { readonly network: Network; readonly portId: string }
}

/** A network as it was made. */
export interface Network {
  readonly id: string
  readonly name: string
  readonly projectId: string
  readonly subnets: readonly string[]
  /** Absent where the network is isolated. */
  readonly routerId?: string
  /** Of the router's interface that has 10.0.0.1, or of the DHCP or metadata port. */
  readonly mac: string
  readonly portId: string
}

/** A guest of whom Nova knows nothing; enough for asking who it is. */
export interface BareGuest {
  readonly instanceId: string
  readonly projectId: string
  readonly portId: string
  readonly mac: string
  readonly ip: string
  readonly networkId: string
  readonly routerId?: string
}

/** Everything that was made. */
export interface Cloud {
  readonly place: Place
  readonly keystone: KeystoneSeed
  readonly guests: readonly Guest[]
  /** 20 on each of 5 networks, once for each Neutron. */
  readonly crowd: { readonly ml2: readonly BareGuest[]; readonly ovn: readonly BareGuest[] }
}

const crowdNetworks = 5
const guestsPerNetwork = 20

async function makeNetwork(
  api: NeutronApi,
  given: {
    readonly name: string
    readonly projectId: string
    readonly isRouted: boolean
    readonly isOvn: boolean
  },
): Promise<Network> {
  const { name, projectId, isRouted, isOvn } = given
  const id = await api.network({ name, project_id: projectId })
  const common = { network_id: id, project_id: projectId }
  const subnets = [
    await api.subnet({
      ...common,
      ip_version: 4,
      cidr: '10.0.0.0/24',
      gateway_ip: isRouted ? '10.0.0.1' : null,
    }),
    await api.subnet({
      ...common,
      ip_version: 6,
      cidr: 'fd00::/64',
      gateway_ip: isRouted ? 'fd00::1' : null,
      enable_dhcp: false,
    }),
  ]
  const network = { id, name, projectId, subnets }
  if (isOvn) {
    // The port that Neutron makes by itself for the metadata agent.
    const [port] = await api.findPorts(`network_id=${id}&device_owner=network:distributed`)
    return { ...network, ...hostPort(port) }
  }
  if (isRouted) {
    const routerId = await api.router(`router-of-${name}`, projectId, subnets)
    const [port] = await api.findPorts(`device_id=${routerId}&fixed_ips=ip_address%3D10.0.0.1`)
    return { ...network, routerId, ...hostPort(port) }
  }
  const [port] = await api.ports([
    {
      ...common,
      device_owner: 'network:dhcp',
      device_id: `dhcp-${id}`,
      fixed_ips: [{ subnet_id: subnets[0], ip_address: '10.0.0.2' }],
    },
  ])
  return { ...network, ...hostPort(port) }
}

function hostPort(port: ShownPort | undefined): { readonly mac: string; readonly portId: string } {
  if (port === undefined) throw new Error('Neutron does not show the port of the host side')
  return { mac: port.mac_address, portId: port.id }
}

/** The body of a port of an instance, with addresses that end in `last`. */
function instancePort(
  network: Network,
  last: number,
  instanceId: string,
): Readonly<Record<string, unknown>> {
  return {
    network_id: network.id,
    project_id: network.projectId,
    device_owner: 'compute:nova',
    device_id: instanceId,
    fixed_ips: [
      { subnet_id: network.subnets[0], ip_address: `10.0.0.${last}` },
      { subnet_id: network.subnets[1], ip_address: `fd00::${last}` },
    ],
  }
}

async function makeGuest(place: Place, name: Guest['name'], projectId: string): Promise<Guest> {
  const ml2 = new NeutronApi(place, 'neutron')
  const ovn = new NeutronApi(place, 'neutronOvn')
  const isRouted = name !== 'isolated'
  const given = { name: `network-${name}`, projectId, isRouted }
  const network = await makeNetwork(ml2, { ...given, isOvn: false })
  const ovnNetwork = await makeNetwork(ovn, { ...given, isOvn: true })
  const id = randomUUID()
  const [port] = await ml2.ports([instancePort(network, 10, id)])
  const mac = port?.mac_address ?? ''
  const [ovnPort] = await ovn.ports([
    { ...instancePort(ovnNetwork, 10, id), mac_address: mac, 'binding:host_id': hostName },
  ])
  return {
    name,
    network,
    ovn: { network: ovnNetwork, portId: ovnPort?.id ?? '' },
    instance: {
      id,
      name: `guest-${name}`,
      projectId,
      userData: `#cloud-config\n# This is the user data of guest ${name}, instance ${id}.\n`,
      port: {
        id: port?.id ?? '',
        mac,
        ip: '10.0.0.10',
        ip6: 'fd00::10',
        networkId: network.id,
        networkName: network.name,
        hasGateway: isRouted,
      },
    },
  }
}

async function makeCrowd(
  api: NeutronApi,
  projectId: string,
  isOvn: boolean,
): Promise<readonly BareGuest[]> {
  const networks = Array.from({ length: crowdNetworks }, async (_, index) => {
    const name = `crowd-${index}`
    const network = await makeNetwork(api, { name, projectId, isRouted: true, isOvn })
    const ports = await api.ports(
      Array.from({ length: guestsPerNetwork }, (_, last) =>
        instancePort(network, 10 + last, randomUUID()),
      ),
    )
    return ports.map((port) => ({
      instanceId: port.device_id,
      projectId,
      portId: port.id,
      mac: port.mac_address,
      ip: port.fixed_ips.find(({ ip_address: ip }) => ip.includes('.'))?.ip_address ?? '',
      networkId: network.id,
      ...(network.routerId !== undefined && { routerId: network.routerId }),
    }))
  })
  return (await Promise.all(networks)).flat()
}

/** Makes networks, ports and instances in the services that run. */
export async function seedCloud(place: Place, keystone: KeystoneSeed): Promise<Cloud> {
  const { projectA, projectB } = keystone
  const guests = await Promise.all([
    makeGuest(place, 'a', projectA),
    makeGuest(place, 'b', projectB),
    makeGuest(place, 'isolated', projectA),
  ])
  const [ml2, ovn] = await Promise.all([
    makeCrowd(new NeutronApi(place, 'neutron'), projectA, false),
    makeCrowd(new NeutronApi(place, 'neutronOvn'), projectA, true),
    createInstances(
      place,
      guests.map(({ instance }) => instance),
    ),
  ])
  await bindPorts(place)
  await acknowledge(place)
  const cloud = { place, keystone, guests, crowd: { ml2, ovn } }
  writeFileSync(join(place.folder, 'cloud.json'), JSON.stringify(cloud))
  return cloud
}

/** What was made in the OpenStack of a folder. @returns `undefined` when it did not come so far */
export function cloudIn(folder: string): Cloud | undefined {
  const file = join(folder, 'cloud.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Cloud) : undefined
}

/** The OpenStack that runs, for a test. @throws Error where none does */
export function runningCloud(): Cloud {
  const folder = process.env['OVERLAPD_OPENSTACK_DIR']
  if (folder === undefined) {
    throw new Error('these tests need a running OpenStack: use "npm run test:openstack"')
  }
  const cloud = cloudIn(folder)
  if (cloud === undefined) throw new Error(`nothing was made in the OpenStack of ${folder}`)
  return cloud
}
