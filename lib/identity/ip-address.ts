import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { macAddressFromBytes, type MacAddress } from './mac-address.ts'

declare const brand: unique symbol
/**
 * An IP address in canonical text: dotted IPv4 (also for IPv4-mapped IPv6), RFC 5952 text for IPv6, never a zone.
 * Two addresses are the same exactly when their texts are.
 */
export type IpAddress = string & { readonly [brand]: 'IpAddress' }

/** The longest text that can be an address: a full IPv6 form with an embedded IPv4 part, a `%` and an interface name. */
const longestText = 64
const mappedPrefix = '::ffff:'

/**
 * Reads any text form of one address: IPv4, IPv6, IPv4-mapped IPv6, with or without a zone (`fe80::1%eth0`).
 * Legacy forms that `inet_aton` would accept (`10.1`, `0x0a000001`, leading zeros) are refused: two readers
 * must never see two addresses in one text.
 * @returns `undefined` when the text is not exactly one address
 */
export function parseIpAddress(text: unknown): IpAddress | undefined {
  if (typeof text !== 'string' || text.length === 0 || text.length > longestText) return undefined
  // Given an IPv6 text, the library throws and catches an error inside, which takes longer than all the rest.
  if (!text.includes(':')) {
    return isIPv4(text) ? (text as IpAddress) : undefined
  }
  // What a socket for both families gives for an IPv4 peer, on every connection.
  if (text.startsWith(mappedPrefix)) {
    const inner = text.slice(mappedPrefix.length)
    if (isIPv4(inner)) return inner as IpAddress
  }
  const percent = text.indexOf('%')
  if (percent === 0 || percent === text.length - 1) return undefined
  const groups = inGroups(percent > 0 ? text.slice(0, percent) : text)
  if (groups === undefined || !ipaddr.IPv6.isValid(groups)) return undefined
  const address = ipaddr.IPv6.parse(groups)
  if (isMapped(address.parts)) return address.toIPv4Address().toString() as IpAddress
  return address.toRFC5952String() as IpAddress
}

/**
 * Writes an embedded IPv4 part as the two groups that it is. The library takes octal and hexadecimal numbers there, and
 * `::10.0.0.10`, an IPv6 address of its own that any guest can give itself, for the IPv4-mapped one.
 */
function inGroups(text: string): string | undefined {
  if (!text.includes('.')) return text
  const from = text.lastIndexOf(':') + 1
  const dotted = text.slice(from)
  if (!isIPv4(dotted)) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(dotted).octets
  return `${text.slice(0, from)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

/** `::ffff:0:0/96`. The library's own test compares with every special range there is. */
function isMapped(parts: readonly number[]): boolean {
  return parts[5] === 0xffff && parts.slice(0, 5).every((part) => part === 0)
}

/** True for `fe80::/10`, whose addresses do not lead to a fixed IP and are resolved by MAC. */
export function isLinkLocalIpv6(address: IpAddress): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address)
}

/** True for every address that is not IPv4; mapped ones were made IPv4 when they were read. */
export function isIpv6(address: IpAddress): boolean {
  return address.includes(':')
}

/** Four octets of an IPv4 address or sixteen of an IPv6 one, in network order. */
export function ipAddressBytes(address: IpAddress): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray())
}

/**
 * Reads four octets of an IPv4 address or sixteen of an IPv6 one, in network order. IPv4-mapped ones become IPv4.
 * @throws {RangeError} for any other number of octets
 */
export function ipAddressFromBytes(octets: Uint8Array): IpAddress {
  if (octets.length === 4) return octets.join('.') as IpAddress
  if (octets.length !== 16) throw new RangeError('An IP address has 4 or 16 octets')
  const address = new ipaddr.IPv6([...octets])
  if (isMapped(address.parts)) return octets.subarray(12).join('.') as IpAddress
  return address.toRFC5952String() as IpAddress
}

/**
 * The MAC that an EUI-64 link-local address was made from (RFC 4291 appendix A). Only when the two middle
 * octets are `ff:fe`: stable-privacy (RFC 7217) and temporary (RFC 8981) addresses hold no MAC, and reading one
 * out of them could name another port.
 */
export function macFromEui64(address: IpAddress): MacAddress | undefined {
  if (!isLinkLocalIpv6(address)) return undefined
  const bytes = ipaddr.IPv6.parse(address).toByteArray()
  if (bytes[11] !== 0xff || bytes[12] !== 0xfe) return undefined
  const mac = Uint8Array.from([...bytes.slice(8, 11), ...bytes.slice(13, 16)])
  mac[0] = (mac[0] ?? 0) ^ 0x02
  return macAddressFromBytes(mac)
}

/** The link-local address that a MAC makes by EUI-64: the inverse of {@link macFromEui64}. */
export function eui64LinkLocal(mac: MacAddress): IpAddress {
  const octets = mac.split(':').map((octet) => Number.parseInt(octet, 16))
  octets[0] = (octets[0] ?? 0) ^ 0x02
  const own = [...octets.slice(0, 3), 0xff, 0xfe, ...octets.slice(3)]
  const bytes = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...own]
  return new ipaddr.IPv6(bytes).toRFC5952String() as IpAddress
}

/** A prefix that has been compiled once, so that requests only compare. */
export type CidrMatcher = (address: IpAddress) => boolean

/** Compiles `10.0.0.0/8` or `fd00::/8`. @returns `undefined` when the text is no CIDR prefix */
export function compileCidr(text: string): CidrMatcher | undefined {
  if (!ipaddr.isValidCIDR(text)) return undefined
  const [network, bits] = ipaddr.parseCIDR(text)
  return (address) => {
    const parsed = ipaddr.parse(address)
    return parsed.kind() === network.kind() && parsed.match(network, bits)
  }
}

/** A subnet's prefix with what documents hold about it. Plain data, which goes from thread to thread. */
export interface Cidr {
  /** Canonical text, host bits cleared: `10.0.0.0/24`. */
  readonly text: string
  readonly netmask: IpAddress
  /** The first address after the network's own, where Neutron puts a gateway by default. */
  readonly firstAddress: IpAddress
  readonly ipv6: boolean
}

/** Reads `10.0.0.0/24` or `fd00::/64`. @returns `undefined` when the text is no CIDR prefix */
export function parseCidr(text: unknown): Cidr | undefined {
  if (typeof text !== 'string') return undefined
  if (!ipaddr.isValidCIDR(text)) return undefined
  const [address, bits] = ipaddr.parseCIDR(text)
  const ipv6 = address.kind() === 'ipv6'
  const network = (ipv6 ? ipaddr.IPv6 : ipaddr.IPv4).networkAddressFromCIDR(text)
  const netmask = (ipv6 ? ipaddr.IPv6 : ipaddr.IPv4).subnetMaskFromPrefixLength(bits)
  const bytes = network.toByteArray()
  const last = bytes.length - 1
  const first = ipaddr.fromByteArray(bytes.with(last, ((bytes[last] ?? 0) + 1) % 256))
  const textOf = (value: ipaddr.IPv4 | ipaddr.IPv6): IpAddress =>
    (value instanceof ipaddr.IPv6 ? value.toRFC5952String() : value.toString()) as IpAddress
  return {
    text: `${textOf(network)}/${bits}`,
    netmask: textOf(netmask),
    firstAddress: textOf(first),
    ipv6,
  }
}
