/** Which networks need a metadata namespace on this host? Read off copied rows, as Neutron's OVN agent decides it. */
import {
  compileCidr,
  isIpv6,
  parseIpAddress,
  type IpAddress,
} from '../../../lib/identity/ip-address.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import { parseMacAddress, type MacAddress } from '../../../lib/identity/mac-address.ts'
import {
  isMtu,
  linksOfNetwork,
  parseNetworkUuid,
  parsePrefixedAddress,
  type NetworkPlan,
} from '../shared/network-plan.ts'
import type { DatapathBinding, PortBinding, SouthboundRows } from './southbound-rows.ts'

/** A network that needs a namespace, with the logical port that its cable is plugged into. */
export interface PlannedNetwork {
  readonly plan: NetworkPlan
  readonly logicalPort: string
}

/** Kinds of ports that guests are behind. @see neutron/agent/ovn/metadata/agent.py */
const guestTypes: ReadonlySet<string> = new Set(['', 'external', 'localport'])
const metadataDevicePrefix = 'ovnmeta-'
const switchPrefix = 'neutron-'

/**
 * A network needs one when it has a metadata port with a MAC, and a guest of this host has an address on it. Guests whose live
 * migration leads here count already.
 */
export function planNetworks(
  { chassis, ports, datapaths }: SouthboundRows,
  fillsChecksums: boolean,
): PlannedNetwork[] {
  const guestAddresses = new Map<string, IpAddress[]>()
  const metadataPorts = new Map<string, PortBinding>()
  for (const port of ports) {
    if (isMetadataPort(port)) keepFirst(metadataPorts, port)
    if (!guestTypes.has(port.type) || !isHere(port, chassis)) continue
    const known = guestAddresses.get(port.datapath ?? '')
    if (known === undefined) guestAddresses.set(port.datapath ?? '', addressesIn(port.mac))
    else known.push(...addressesIn(port.mac))
  }
  const planned = [...guestAddresses].flatMap(([datapath, guests]) => {
    const networkId = networkOf(datapaths.get(datapath))
    const metadataPort = metadataPorts.get(datapath)
    if (networkId === undefined || metadataPort === undefined || guests.length === 0) return []
    return planNetwork(networkId, metadataPort, guests, fillsChecksums) ?? []
  })
  return withoutClashes(planned)
}

function isHere({ chassis, additional_chassis }: PortBinding, own: string): boolean {
  return chassis === own || additional_chassis.includes(own)
}

/** Not the ports of load balancers' health monitors, which are of the same type. */
function isMetadataPort({ type, external_ids }: PortBinding): boolean {
  const device = external_ids.get('neutron:device_id') ?? ''
  return type === 'localport' && device.startsWith(metadataDevicePrefix)
}

/** While Neutron repairs its rows there may be two; every host must choose the same. */
function keepFirst(ports: Map<string, PortBinding>, port: PortBinding): void {
  const known = ports.get(port.datapath ?? '')
  if (known === undefined || port.logical_port < known.logical_port) {
    ports.set(port.datapath ?? '', port)
  }
}

function networkOf(datapath: DatapathBinding | undefined): NetworkId | undefined {
  const ids = datapath?.external_ids
  const name = ids?.get('name') ?? ''
  if (ids?.has('logical-switch') !== true || !name.startsWith(switchPrefix)) return undefined
  return parseNetworkUuid(name.slice(switchPrefix.length))
}

/** `MAC IP IP…`; a port that may have any address has `unknown` beside or instead. */
function addressesIn(macs: readonly string[]): IpAddress[] {
  return macs.flatMap((text) => {
    const [first, ...words] = text.trim().split(/\s+/)
    if (parseMacAddress(first) === undefined) return []
    return words.flatMap((word) => parseIpAddress(word) ?? [])
  })
}

function macOf(port: PortBinding): MacAddress | undefined {
  const read = port.mac.map((text) => parseMacAddress(text.trim().split(/\s/, 1)[0]))
  return read.filter((mac) => mac !== undefined).sort()[0]
}

function planNetwork(
  networkId: NetworkId,
  port: PortBinding,
  guests: readonly IpAddress[],
  fillsChecksums: boolean,
): PlannedNetwork | undefined {
  const macAddress = macOf(port)
  if (macAddress === undefined) return undefined
  const mtu = Number(port.external_ids.get('neutron:mtu'))
  const plan: NetworkPlan = {
    networkId,
    macAddress,
    ...(isMtu(mtu) && { mtu }),
    addresses: subnetsInUse(port.external_ids.get('neutron:cidrs') ?? '', guests),
    ipv6: guests.some(isIpv6),
    fillsChecksums,
  }
  return { plan, logicalPort: port.logical_port }
}

/** Of the metadata port's addresses those of one subnet with a guest. */
function subnetsInUse(cidrs: string, guests: readonly IpAddress[]): string[] {
  const inUse = cidrs.split(/\s+/).filter((text) => {
    const own = parsePrefixedAddress(text)
    if (own === undefined || isIpv6(own.address)) return false
    const contains = compileCidr(text)
    return contains !== undefined && guests.some(contains)
  })
  return [...new Set(inUse)].sort()
}

/** Two networks whose ids begin alike would share a cable, and with it their guests: only one of them is served. */
function withoutClashes(planned: readonly PlannedNetwork[]): PlannedNetwork[] {
  const byLink = new Map<string, PlannedNetwork>()
  const inOrder = planned.toSorted((a, b) => (a.plan.networkId < b.plan.networkId ? -1 : 1))
  for (const one of inOrder) {
    const { outside } = linksOfNetwork(one.plan.networkId)
    if (!byLink.has(outside)) byLink.set(outside, one)
  }
  return [...byLink.values()]
}
