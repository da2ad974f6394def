/** Which addresses do interfaces of the current namespace have, and how are they given and taken? System calls only. */
import {
  isIpv6,
  ipAddressBytes,
  parseIpAddress,
  type IpAddress,
} from '../../lib/identity/ip-address.ts'
import { linux, isErrno } from '../../lib/linux/libc.ts'
import { netlinkAttribute, netlinkAttributes, type NetlinkSocket } from './netlink.ts'

/** One address of one interface. */
export interface LinkAddress {
  readonly linkIndex: number
  readonly address: IpAddress
  readonly prefix: number
  /** Duplicate address detection found another owner; the kernel does not use the address. */
  readonly isDuplicate: boolean
  /** Detection goes on; the kernel does not use the address yet. */
  readonly isTentative: boolean
}

/** @see linux/rtnetlink.h, linux/if_addr.h */
const route = {
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  headerBytes: 8,
  address: 1,
  local: 2,
  broadcast: 4,
  flags: 8,
  flagDuplicate: 0x08,
  flagTentative: 0x40,
} as const

/** Addresses of both families, of every interface. @throws {SystemCallError} */
export function listAddresses(socket: NetlinkSocket): LinkAddress[] {
  const found: LinkAddress[] = []
  socket.list(route.getAddress, Buffer.alloc(route.headerBytes), (type, payload) => {
    const address = type === route.newAddress ? readAddress(payload) : undefined
    if (address !== undefined) found.push(address)
  })
  return found
}

/** Reads one RTM_NEWADDR. @returns `undefined` for what is none */
export function readAddress(message: Buffer): LinkAddress | undefined {
  if (message.length < route.headerBytes) return undefined
  let flags = message.readUInt8(2)
  let octets: Buffer | undefined
  for (const { type, value } of netlinkAttributes(message, route.headerBytes)) {
    // Of an IPv4 address with a peer this is its own one; the other attribute names the peer.
    if (type === route.local || (type === route.address && octets === undefined)) octets = value
    if (type === route.flags && value.length === 4) flags = value.readUInt32LE(0)
  }
  const address = octets && parseIpAddress(textOf(octets))
  if (address === undefined) return undefined
  return {
    linkIndex: message.readUInt32LE(4),
    address,
    prefix: message.readUInt8(1),
    isDuplicate: (flags & route.flagDuplicate) !== 0,
    isTentative: (flags & route.flagTentative) !== 0,
  }
}

function textOf(octets: Buffer): string {
  if (octets.length === 4) return octets.join('.')
  const words = Array.from({ length: octets.length >> 1 }, (_, at) => octets.readUInt16BE(at * 2))
  return words.map((word) => word.toString(16)).join(':')
}

function body(linkIndex: number, address: IpAddress, prefix: number): Buffer {
  const bytes = Buffer.alloc(route.headerBytes)
  bytes.writeUInt8(isIpv6(address) ? linux.AF_INET6 : linux.AF_INET, 0)
  bytes.writeUInt8(prefix, 1)
  bytes.writeUInt32LE(linkIndex, 4)
  const octets = ipAddressBytes(address)
  return Buffer.concat([
    bytes,
    netlinkAttribute(route.local, octets),
    netlinkAttribute(route.address, octets),
  ])
}

/** The last address of an IPv4 subnet; one with no hosts has none. */
function broadcastOf(address: IpAddress, prefix: number): Buffer | undefined {
  if (isIpv6(address) || prefix > 30) return undefined
  const bytes = Buffer.from(ipAddressBytes(address))
  bytes.writeUInt32BE((bytes.readUInt32BE(0) | (0xffffffff >>> prefix)) >>> 0, 0)
  return bytes
}

/** Gives an address to an interface, after the usual detection of duplicates. One that is there already is no error. @throws {SystemCallError} */
export function addAddress(
  socket: NetlinkSocket,
  linkIndex: number,
  address: IpAddress,
  prefix: number,
): void {
  const broadcast = broadcastOf(address, prefix)
  const bytes = Buffer.concat([
    body(linkIndex, address, prefix),
    ...(broadcast === undefined ? [] : [netlinkAttribute(route.broadcast, broadcast)]),
  ])
  try {
    socket.request('RTM_NEWADDR', route.newAddress, bytes, 'create')
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause
  }
}

/** Takes an address from an interface. One that is gone already is no error. @throws {SystemCallError} */
export function removeAddress(
  socket: NetlinkSocket,
  linkIndex: number,
  address: IpAddress,
  prefix: number,
): void {
  try {
    socket.request('RTM_DELADDR', route.deleteAddress, body(linkIndex, address, prefix))
  } catch (cause) {
    if (!isErrno(cause, 'EADDRNOTAVAIL')) throw cause
  }
}
