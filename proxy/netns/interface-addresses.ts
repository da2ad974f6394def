/** Which interface of the current namespace carries this IPv6 address? Asked of the kernel by netlink, without a program. */
import { closeSync } from 'node:fs'
import { linux, openSocket, receiveBytes, sendBytes } from './libc.ts'

/** One IPv6 address of one interface. */
export interface InterfaceAddress {
  readonly interfaceIndex: number
  /** Sixteen octets. */
  readonly octets: Uint8Array
  /** Duplicate address detection found another owner; the kernel does not use the address. */
  readonly duplicate: boolean
}

/** @see linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h */
const netlink = {
  route: 0,
  headerBytes: 16,
  error: 2,
  done: 3,
  getAddress: 22,
  newAddress: 20,
  requestDump: 0x1 | 0x300,
  addressBytes: 8,
  attributeAddress: 1,
  attributeFlags: 8,
  flagDadFailed: 0x08,
} as const

/** The kernel fills up to 32 KiB at a time when the reader offers as much. */
const receiveLength = 32_768
/** Far more addresses than a namespace has; a dump that goes on longer is given up. */
const mostReads = 1_000

/**
 * Lists the IPv6 addresses of the namespace the calling thread is in. System calls only, so it may run inside a window.
 * @throws {SystemCallError} when netlink refuses
 */
export function listIpv6Addresses(): InterfaceAddress[] {
  const fd = openSocket(linux.AF_NETLINK, linux.SOCK_RAW, netlink.route)
  try {
    sendBytes(fd, dumpRequest())
    const found: InterfaceAddress[] = []
    const buffer = Buffer.alloc(receiveLength)
    for (let read = 0; read < mostReads; read += 1) {
      const length = receiveBytes(fd, buffer)
      if (parseAddressMessages(buffer.subarray(0, length), found)) return found
    }
    throw new Error('The list of addresses has no end')
  } finally {
    closeSync(fd)
  }
}

function dumpRequest(): Uint8Array {
  const request = Buffer.alloc(netlink.headerBytes + netlink.addressBytes)
  request.writeUInt32LE(request.length, 0)
  request.writeUInt16LE(netlink.getAddress, 4)
  request.writeUInt16LE(netlink.requestDump, 6)
  request.writeUInt32LE(1, 8)
  request.writeUInt8(linux.AF_INET6, netlink.headerBytes)
  return request
}

/**
 * Reads the netlink messages of one datagram and adds the addresses they hold.
 * @returns true when the dump has ended
 * @throws Error when the kernel answers with an error or the bytes are no netlink messages
 */
export function parseAddressMessages(bytes: Buffer, found: InterfaceAddress[]): boolean {
  for (let at = 0; at + netlink.headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    if (length < netlink.headerBytes || at + length > bytes.length) {
      throw new Error('A netlink message has an impossible length')
    }
    const type = bytes.readUInt16LE(at + 4)
    if (type === netlink.done) return true
    if (type === netlink.error) throw new Error('The kernel refused to list addresses')
    if (type === netlink.newAddress) {
      const address = parseAddress(bytes.subarray(at + netlink.headerBytes, at + length))
      if (address !== undefined) found.push(address)
    }
    at += align(length)
  }
  return false
}

function parseAddress(message: Buffer): InterfaceAddress | undefined {
  if (message.length < netlink.addressBytes) return undefined
  let flags = message.readUInt8(2)
  let octets: Uint8Array | undefined
  for (let at: number = netlink.addressBytes; at + 4 <= message.length;) {
    const length = message.readUInt16LE(at)
    if (length < 4 || at + length > message.length) return undefined
    const type = message.readUInt16LE(at + 2)
    const value = message.subarray(at + 4, at + length)
    if (type === netlink.attributeAddress && value.length === 16) octets = Uint8Array.from(value)
    if (type === netlink.attributeFlags && value.length === 4) flags = value.readUInt32LE(0)
    at += align(length)
  }
  if (octets === undefined) return undefined
  const duplicate = (flags & netlink.flagDadFailed) !== 0
  return { interfaceIndex: message.readUInt32LE(4), octets, duplicate }
}

/** Netlink messages and attributes begin at multiples of four. */
function align(length: number): number {
  return (length + 3) & ~3
}
