import {
  instanceId,
  ip,
  mac,
  networkId,
  projectId,
  routerId,
  type RouterPort,
  type Topology,
  type TopologyPort,
} from '../conformance/topology.ts'
import { parsePortId, type PortId } from '../../lib/identity/ids.ts'

/** Ids of ports differ in their first characters, as Neutron's do: the proxy tells no more of them. */
function portId(first: string): PortId {
  const parsed = parsePortId(`${first}-7c1d-4e2f-8a3b-000000000001`)
  if (parsed === undefined) throw new TypeError(`"${first}" does not begin a UUID`)
  return parsed
}

export const shared = networkId(2)
export const attackers = networkId(1)
/** The attacker's router, which has joined the shared network. */
export const joiningRouter = routerId(1)
/** What the proxy tells of the two interfaces. */
export const throughAttackers = '11111111'.concat('-7c')
export const throughShared = '22222222'.concat('-7c')

function guest(
  first: string,
  number: number,
  network: typeof shared,
  instance = number,
): TopologyPort {
  return {
    portId: portId(first),
    networkId: network,
    macAddress: mac(number),
    fixedIps: [ip(`10.0.${network === shared ? 2 : 1}.${number}`)],
    instanceId: instanceId(instance),
    projectId: projectId(instance),
    deviceOwner: 'compute:nova',
  }
}

export const victim = guest('aaaaaaaa', 0x20, shared)
export const attacker = guest('bbbbbbbb', 0x10, attackers)
/** One instance with a port on each network. */
export const twoPorts = {
  onAttackers: guest('cccccccc', 0x30, attackers),
  onShared: guest('dddddddd', 0x31, shared, 0x30),
} as const

function own(first: string, number: number, network: typeof shared): RouterPort {
  return {
    portId: portId(first),
    networkId: network,
    macAddress: mac(number),
    fixedIps: [ip(`10.0.${network === shared ? 2 : 1}.1`)],
    deviceOwner: 'network:router_interface',
  }
}

/** A network that several tenants share, and a tenant's router that joins it to a network of theirs. */
export const sharedNetworkTopology: Topology = {
  networks: [
    { networkId: attackers, projectId: projectId(0x10) },
    { networkId: shared, projectId: projectId(9) },
  ],
  routers: [
    {
      routerId: joiningRouter,
      projectId: projectId(0x10),
      ports: [own('11111111', 0x101, attackers), own('22222222', 0x102, shared)],
    },
  ],
  ports: [victim, attacker, twoPorts.onAttackers, twoPorts.onShared],
}
