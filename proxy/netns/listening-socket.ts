/** What does this listening socket listen on, and in which namespace? By the kernel, for a descriptor from elsewhere. */
import { closeSync, fstatSync } from 'node:fs'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import { callLibc, linux } from '../../lib/linux/libc.ts'
import type { NamespaceKey } from './namespace-handle.ts'
import { ownEnd } from './socket-ends.ts'

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

/**
 * @returns `undefined` for everything that is no listening TCP socket
 * @throws {SystemCallError} when the namespace may not be read: that takes CAP_NET_ADMIN
 */
export function listeningSocketOf(fd: number): ListeningSocket | undefined {
  if (!isListening(fd)) return undefined
  const end = ownEnd(fd)
  return end && { ...end, namespace: namespaceOf(fd) }
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

function namespaceOf(fd: number): NamespaceKey {
  const handle = callLibc('ioctl', fd, getSocketNamespace, 0)
  try {
    const { dev, ino } = fstatSync(handle)
    return `${dev}:${ino}` as NamespaceKey
  } finally {
    closeSync(handle)
  }
}
