/** Which interface of the current namespace carries this IPv6 address? Asked of the kernel by netlink, without a program. */
import { linux } from '../linux/libc.ts'
import { alignNetlink, listByNetlink, readMessages } from '../netlink/netlink.ts'

/** One IPv6 address of one interface. */
export interface InterfaceAddress {
  readonly interfaceIndex: number
  /** Sixteen octets. */
  readonly octets: Uint8Array
  /** Duplicate address detection found another owner; the kernel does not use the address. */
  readonly duplicate: boolean
}

/** @see linux/rtroute.h, linux/if_addr.h */
const route = {
  protocol: 0,
  getAddress: 22,
  newAddress: 20,
  addressBytes: 8,
  attributeAddress: 1,
  attributeFlags: 8,
  flagDadFailed: 0x08,
} as const

/**
 * Lists the IPv6 addresses of the namespace the calling thread is in. System calls only, so it may run inside a window.
 * @throws {SystemCallError} when netlink refuses
 */
export function listIpv6Addresses(): InterfaceAddress[] {
  const found: InterfaceAddress[] = []
  const body = Buffer.alloc(route.addressBytes)
  body.writeUInt8(linux.AF_INET6, 0)
  listByNetlink({ protocol: route.protocol, type: route.getAddress, body }, (type, payload) => {
    takeAddress(type, payload, found)
  })
  return found
}

/**
 * Reads the netlink messages of one datagram and adds the addresses they hold.
 * @returns true when the list has ended
 * @throws Error when the kernel answers with an error or the bytes are no netlink messages
 */
export function parseAddressMessages(bytes: Buffer, found: InterfaceAddress[]): boolean {
  return readMessages(bytes, (type, payload) => takeAddress(type, payload, found))
}

function takeAddress(type: number, payload: Buffer, found: InterfaceAddress[]): void {
  const address = type === route.newAddress ? parseAddress(payload) : undefined
  if (address !== undefined) found.push(address)
}

function parseAddress(message: Buffer): InterfaceAddress | undefined {
  if (message.length < route.addressBytes) return undefined
  let flags = message.readUInt8(2)
  let octets: Uint8Array | undefined
  for (let at: number = route.addressBytes; at + 4 <= message.length;) {
    const length = message.readUInt16LE(at)
    if (length < 4 || at + length > message.length) return undefined
    const type = message.readUInt16LE(at + 2)
    const value = message.subarray(at + 4, at + length)
    if (type === route.attributeAddress && value.length === 16) octets = Uint8Array.from(value)
    if (type === route.attributeFlags && value.length === 4) flags = value.readUInt32LE(0)
    at += alignNetlink(length)
  }
  if (octets === undefined) return undefined
  const duplicate = (flags & route.flagDadFailed) !== 0
  return { interfaceIndex: message.readUInt32LE(4), octets, duplicate }
}
