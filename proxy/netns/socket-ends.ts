/**
 * Which addresses has this socket? By the kernel, as numbers: Node turns the zone of a link-local address into the name of an
 * interface of its own namespace and throws where there is none, which is the rule for sockets of other namespaces.
 */
import { ipAddressFromBytes, type IpAddress } from '../../lib/identity/ip-address.ts'
import { callLibc, linux, SystemCallError } from '../../lib/linux/libc.ts'

/** One end of a TCP socket. */
export interface SocketEnd {
  readonly address: IpAddress
  readonly tcpPort: number
  /** Index of the interface, in the socket's namespace, that a link-local address belongs to; 0 for other addresses. */
  readonly interfaceIndex: number
}

/** `struct sockaddr_in6`, the longer of the two. */
const longestAddress = 28

/** @returns `undefined` when the connection is gone or has no end with an IP address */
export function peerEnd(fd: number): SocketEnd | undefined {
  return endOf('getpeername', fd)
}

/** @returns `undefined` when the descriptor is no open socket with an IP address */
export function ownEnd(fd: number): SocketEnd | undefined {
  return endOf('getsockname', fd)
}

function endOf(syscall: 'getpeername' | 'getsockname', fd: number): SocketEnd | undefined {
  const bytes = Buffer.alloc(longestAddress)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(longestAddress)
  try {
    callLibc(syscall, fd, bytes, length)
  } catch (cause) {
    if (cause instanceof SystemCallError) return undefined
    throw cause
  }
  return readSocketEnd(bytes)
}

/** Reads a `struct sockaddr_in` or `sockaddr_in6`. @returns `undefined` for every other family */
export function readSocketEnd(bytes: Buffer): SocketEnd | undefined {
  const family = bytes.readUInt16LE(0)
  const tcpPort = bytes.readUInt16BE(2)
  if (family === linux.AF_INET) {
    return { address: ipAddressFromBytes(bytes.subarray(4, 8)), tcpPort, interfaceIndex: 0 }
  }
  if (family !== linux.AF_INET6) return undefined
  const address = ipAddressFromBytes(bytes.subarray(8, 24))
  return { address, tcpPort, interfaceIndex: bytes.readUInt32LE(24) }
}
