/** What does this listening socket listen on, and in which namespace? Asked of the kernel about a descriptor from elsewhere. */
import { closeSync, fstatSync } from 'node:fs'
import { parseIpAddress, type IpAddress } from '../../lib/ip-address.ts'
import { callLibc, linux } from './libc.ts'
import type { NamespaceKey } from './namespace-handle.ts'

/** A TCP socket in the state LISTEN. */
export interface ListeningSocket {
  readonly address: IpAddress
  readonly tcpPort: number
  /** The zone of a link-local address; 0 for others. */
  readonly interfaceIndex: number
  readonly namespace: NamespaceKey
}

/** @see linux/sockios.h */
const getSocketNamespace = 0x894c
const longestAddress = 28

/**
 * @returns `undefined` for everything that is no listening TCP socket
 * @throws {SystemCallError} when the namespace may not be asked for: that takes CAP_NET_ADMIN
 */
export function listeningSocketOf(fd: number): ListeningSocket | undefined {
  if (!isListening(fd)) return undefined
  const bytes = Buffer.alloc(longestAddress)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(longestAddress)
  callLibc('getsockname', fd, bytes, length)
  const family = bytes.readUInt16LE(0)
  const isIpv6 = family === linux.AF_INET6
  if (!isIpv6 && family !== linux.AF_INET) return undefined
  const octets = isIpv6 ? bytes.subarray(8, 24) : bytes.subarray(4, 8)
  const address = parseIpAddress(isIpv6 ? ipv6Text(octets) : [...octets].join('.'))
  if (address === undefined) return undefined
  return {
    address,
    tcpPort: bytes.readUInt16BE(2),
    interfaceIndex: isIpv6 ? bytes.readUInt32LE(24) : 0,
    namespace: namespaceOf(fd),
  }
}

function isListening(fd: number): boolean {
  const value = Buffer.alloc(4)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(4)
  try {
    callLibc('getsockopt', fd, linux.SOL_SOCKET, linux.SO_ACCEPTCONN, value, length)
  } catch {
    return false
  }
  return value.readInt32LE(0) === 1
}

function ipv6Text(octets: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => octets.readUInt16BE(index * 2))
  return groups.map((group) => group.toString(16)).join(':')
}

function namespaceOf(fd: number): NamespaceKey {
  const handle = callLibc('ioctl', fd, getSocketNamespace, 0)
  try {
    const { dev, ino } = fstatSync(handle)
    return `${dev}:${ino}` as NamespaceKey
  } finally {
    closeSync(handle)
  }
}
