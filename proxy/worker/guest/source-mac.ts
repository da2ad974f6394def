import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { Arrival } from '../shared/guest-identity.ts'
import { macAddressFromBytes, type MacAddress } from '../../../lib/identity/mac-address.ts'

const ethernetBytes = 14
const ethertypeIpv4 = 0x0800
const ethertypeIpv6 = 0x86dd
const ipv6Bytes = 40
const shortestTcp = 20
const protocolTcp = 6

/**
 * Reads who sent the SYN that began a connection, from the frame the kernel saved: Ethernet, IP and TCP headers, 74 bytes
 * for IPv4 with the usual options. The lengths must add up, so that headers of a device without Ethernet, which begin with
 * IP, are never read as a frame.
 * @returns `undefined` when the frame names no single sender, as on loopback
 * @see tcp(7) TCP_SAVED_SYN, tcp_reqsk_record_syn() in the kernel's net/ipv4/tcp_input.c
 */
export function sourceMacOfSyn(frame: Uint8Array): MacAddress | undefined {
  if (!holdsTcpOverEthernet(frame)) return undefined
  const isGroupAddress = ((frame[6] ?? 1) & 1) === 1
  if (isGroupAddress) return undefined
  let seen = 0
  for (let index = 6; index < 12; index += 1) seen |= frame[index] ?? 0
  return seen === 0 ? undefined : macAddressFromBytes(frame, 6)
}

/**
 * The source address of an IPv4 frame, which is what the kernel takes for the peer's.
 * @returns `undefined` for frames of another kind
 */
export function sourceIpv4OfSyn(frame: Uint8Array): IpAddress | undefined {
  if (frame[12] !== ethertypeIpv4 >> 8 || frame[13] !== 0 || !holdsTcpOverEthernet(frame))
    return undefined
  return `${frame[26]}.${frame[27]}.${frame[28]}.${frame[29]}` as IpAddress
}

/**
 * With which hop limit the SYN arrived, and from which TCP port. A program in the guest sends with 64, 128 or 255; each router on
 * the way, as the guest itself is for its containers, takes 1.
 * @returns `undefined` for a frame of another kind
 */
export function arrivalOfSyn(frame: Uint8Array): Arrival | undefined {
  if (!holdsTcpOverEthernet(frame)) return undefined
  const isIpv4 = frame[12] === ethertypeIpv4 >> 8 && frame[13] === 0
  const hopLimit = frame[isIpv4 ? 22 : 21] ?? 0
  if (isIpv4) {
    const tcp = ethernetBytes + ((frame[ethernetBytes] ?? 0) & 0x0f) * 4
    return { hopLimit, sourcePort: portAt(frame, tcp) }
  }
  const isFollowedByTcp = frame[20] === protocolTcp
  return { hopLimit, sourcePort: isFollowedByTcp ? portAt(frame, ethernetBytes + ipv6Bytes) : 0 }
}

function portAt(frame: Uint8Array, offset: number): number {
  return ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0)
}

function holdsTcpOverEthernet(frame: Uint8Array): boolean {
  if (frame.length < ethernetBytes + 20 + shortestTcp) return false
  const ethertype = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  const first = frame[ethernetBytes] ?? 0
  const ipVersion = first >> 4
  if (ethertype === ethertypeIpv4 && ipVersion === 4) {
    const tcp = ethernetBytes + (first & 0x0f) * 4
    return tcp + shortestTcp <= frame.length && tcp + tcpBytesAt(frame, tcp) === frame.length
  }
  if (ethertype === ethertypeIpv6 && ipVersion === 6) {
    // Extension headers may stand between, so only the least is known.
    return frame.length >= ethernetBytes + ipv6Bytes + shortestTcp
  }
  return false
}

function tcpBytesAt(frame: Uint8Array, offset: number): number {
  return ((frame[offset + 12] ?? 0) >> 4) * 4
}
