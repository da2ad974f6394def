/** Which process connected to this UNIX socket, as the supervisor and its workers ask the kernel? */
import type { Socket } from 'node:net'
import { descriptorOf } from '../../lib/sockets/descriptor.ts'
import { peerCredentials, type PeerCredentials } from '../../lib/linux/peer-credentials.ts'
import { callLibc } from '../../lib/linux/libc.ts'

/** A process at the other end. */
export type Peer = PeerCredentials

/** @throws {SystemCallError} when the socket is no UNIX stream socket */
export function peerOfDescriptor(fd: number): Peer {
  return peerCredentials(fd, (...values) => void callLibc('getsockopt', ...values))
}

/** @returns `undefined` when the socket is closed already */
export function peerOf(socket: Socket): Peer | undefined {
  const fd = descriptorOf(socket)
  return fd === undefined ? undefined : peerOfDescriptor(fd)
}
