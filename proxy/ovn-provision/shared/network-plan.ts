/** What is a network's metadata namespace to look like? Planned by the planner, checked and carried out by the supervisor. */
import { parseNetworkId, type NetworkId } from '../../../lib/identity/ids.ts'
import {
  isIpv6,
  isLinkLocalIpv6,
  parseIpAddress,
  type IpAddress,
} from '../../../lib/identity/ip-address.ts'
import { isMapping } from '../../../lib/runtime/mapping.ts'
import { parseMacAddress, type MacAddress } from '../../../lib/identity/mac-address.ts'

/** Where the planner finds a network's namespace necessary, and what it must hold. Plain data: it crosses a process boundary. */
export interface NetworkPlan {
  readonly networkId: NetworkId
  /** Of the network's metadata port; the same on every host. */
  readonly macAddress: MacAddress
  /** Absent: the kernel's. */
  readonly mtu?: number
  /** The metadata port's IPv4 addresses with prefix, in the subnets that guests of this host use: `10.0.0.2/24`. */
  readonly addresses: readonly string[]
  /** Whether a guest of this host has an IPv6 address. */
  readonly ipv6: boolean
  /** Whether the namespace must put whole checksums into its packets, because no device behind it does. */
  readonly fillsChecksums: boolean
}

/** An address of an interface with the length of its prefix. */
export interface PrefixedAddress {
  readonly address: IpAddress
  readonly prefix: number
}

const prefixOfNames = 'ovnmeta-'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The namespace that Neutron's OVN agent makes for a network: `ovnmeta-` and its id. */
export function netnsOfNetwork(networkId: NetworkId): string {
  return `${prefixOfNames}${networkId}`
}

/** The network of such a name, and of no other. */
export function networkOfNetns(netns: string): NetworkId | undefined {
  return netns.startsWith(prefixOfNames)
    ? parseNetworkUuid(netns.slice(prefixOfNames.length))
    : undefined
}

/** Names of interfaces and namespaces are made of it, so it must be nothing but a UUID. */
export function parseNetworkUuid(text: unknown): NetworkId | undefined {
  return typeof text === 'string' && uuid.test(text) ? parseNetworkId(text) : undefined
}

/** The two ends of the cable between switch and namespace: `tap`, ten characters of the id, `0` outside and `1` inside. */
export function linksOfNetwork(networkId: NetworkId): {
  readonly outside: string
  readonly inside: string
} {
  const name = `tap${networkId.slice(0, 10)}`
  return { outside: `${name}0`, inside: `${name}1` }
}

/** Smaller ones carry no IPv4, larger ones no veth. */
const smallestMtu = 68
const largestMtu = 65_535
/** More subnets than a network has; what the planner sends is not trusted. */
const mostAddresses = 1_024

/** Reads `10.0.0.2/24` or `fd00::2/64`. @returns `undefined` for anything else */
export function parsePrefixedAddress(text: unknown): PrefixedAddress | undefined {
  const [, part, digits] = typeof text === 'string' ? (/^([^/]+)\/(\d{1,3})$/.exec(text) ?? []) : []
  const address = parseIpAddress(part)
  const prefix = Number(digits)
  if (address === undefined || address !== part?.toLowerCase()) return undefined
  return prefix >= 1 && prefix <= (isIpv6(address) ? 128 : 32) ? { address, prefix } : undefined
}

function isGuestSubnetAddress(text: unknown): text is string {
  const read = parsePrefixedAddress(text)
  return read !== undefined && !isIpv6(read.address) && !isLinkLocalIpv6(read.address)
}

/**
 * Reads what the planner sent.
 * @returns `undefined` when any of it is not as it must be
 */
export function readNetworkPlan(given: unknown): NetworkPlan | undefined {
  if (!isMapping(given)) return undefined
  const networkId = parseNetworkUuid(given['networkId'])
  const macAddress = parseMacAddress(given['macAddress'])
  const { mtu, addresses, ipv6, fillsChecksums } = given
  if (networkId === undefined || macAddress === undefined) return undefined
  if (!Array.isArray(addresses) || addresses.length > mostAddresses) return undefined
  if (!addresses.every(isGuestSubnetAddress)) return undefined
  if (typeof ipv6 !== 'boolean' || typeof fillsChecksums !== 'boolean') return undefined
  if (mtu !== undefined && !isMtu(mtu)) return undefined
  return {
    networkId,
    macAddress,
    addresses,
    ipv6,
    fillsChecksums,
    ...(mtu !== undefined && { mtu }),
  }
}

/** Whether a veth can have it. */
export function isMtu(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= smallestMtu && Number(value) <= largestMtu
}
