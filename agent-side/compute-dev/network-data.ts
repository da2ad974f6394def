import type { NetworkId } from '../../lib/identity/ids.ts'
import { compileCidr, isIpv6, type IpAddress } from '../../lib/identity/ip-address.ts'
import type { Port } from '../ports/directory/port-directory.ts'
import type { Subnet } from '../ports/static/schema.ts'
import type { StaticNetwork } from '../ports/static/topology.ts'

type Document = Readonly<Record<string, unknown>>

function services(addresses: readonly IpAddress[]): readonly Document[] {
  return addresses.map((address) => ({ type: 'dns', address }))
}

function typeOf(subnet: Subnet): string {
  if (!subnet.cidr.ipv6) return subnet.enable_dhcp ? 'ipv4_dhcp' : 'ipv4'
  if (subnet.ipv6_address_mode !== undefined) return `ipv6_${subnet.ipv6_address_mode}`
  return subnet.enable_dhcp ? 'ipv6_dhcp' : 'ipv6'
}

function routesOf(subnet: Subnet): readonly Document[] {
  const any = subnet.cidr.ipv6 ? '::' : '0.0.0.0'
  const gateway = subnet.gateway_ip === undefined ? subnet.cidr.firstAddress : subnet.gateway_ip
  const fallback = gateway === null ? [] : [{ network: any, netmask: any, gateway }]
  const own = subnet.host_routes.map(({ destination, nexthop }) => ({
    network: destination.text.split('/', 1)[0],
    netmask: destination.netmask,
    gateway: nexthop,
  }))
  return [...fallback, ...own]
}

/** The network of one address; where its subnet is not in the file, the guest is to use DHCP. */
function networkOf(
  address: IpAddress,
  subnet: Subnet | undefined,
  place: { readonly id: string; readonly link: string; readonly networkId: NetworkId },
): Document {
  const { id, link, networkId } = place
  const unknown = isIpv6(address) ? 'ipv6_dhcp' : 'ipv4_dhcp'
  const type = subnet === undefined ? unknown : typeOf(subnet)
  if (subnet === undefined || type === 'ipv4_dhcp' || type === 'ipv6_dhcp') {
    return { id, type, link, network_id: networkId }
  }
  return {
    id,
    type,
    link,
    ip_address: address,
    netmask: subnet.cidr.netmask,
    routes: routesOf(subnet),
    network_id: networkId,
    services: services(subnet.dns_nameservers),
  }
}

/**
 * `network_data.json` from the ports and what the file has of their subnets: a link per port that has an address,
 * and at most one IPv4 and one IPv6 network on each.
 * @see nova/virt/netutils.py get_network_metadata
 */
export function networkData(
  ports: readonly Port[],
  known: ReadonlyMap<NetworkId, StaticNetwork>,
): Document {
  const links: Document[] = []
  const networks: Document[] = []
  const resolvers = new Set<IpAddress>()
  for (const port of ports) {
    if (port.fixedIps.length === 0) continue
    const link = `tap${port.portId.slice(0, 11)}`
    const network = known.get(port.networkId)
    const subnets = network?.subnets ?? []
    links.push({
      id: link,
      vif_id: port.portId,
      type: 'ovs',
      // Left out when a subnet has a DHCP server, which sends it itself.
      mtu: subnets.some((subnet) => subnet.enable_dhcp) ? null : (network?.mtu ?? 1500),
      ethernet_mac_address: port.macAddress,
    })
    for (const ipv6 of [false, true]) {
      const address = port.fixedIps.find((fixedIp) => isIpv6(fixedIp) === ipv6)
      if (address === undefined) continue
      const subnet = subnets.find(({ cidr }) => compileCidr(cidr.text)?.(address) === true)
      const place = { id: `network${networks.length}`, link, networkId: port.networkId }
      networks.push(networkOf(address, subnet, place))
      for (const resolver of subnet?.dns_nameservers ?? []) resolvers.add(resolver)
    }
  }
  return links.length === 0 ? {} : { links, networks, services: services([...resolvers]) }
}
