/** Which process connected to a UNIX socket? The kernel answers, not the process. */
import type { Socket } from 'node:net'
import { descriptorOf } from '../sockets/descriptor.ts'
import { callLibc, linux } from './libc.ts'

/** A process at the other end, as it was when it connected. */
export interface PeerCredentials {
  /** 0 when it lives in a PID namespace that is not seen from here. */
  readonly pid: number
  readonly userId: number
}

/** `struct ucred`: three integers. */
const credentialBytes = 12

/** @throws {SystemCallError} when the socket is no UNIX stream socket */
export function credentialsOfDescriptor(fd: number): PeerCredentials {
  const bytes = Buffer.alloc(credentialBytes)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(credentialBytes)
  callLibc('getsockopt', fd, linux.SOL_SOCKET, linux.SO_PEERCRED, bytes, length)
  return { pid: bytes.readInt32LE(0), userId: bytes.readUInt32LE(4) }
}

/** @returns `undefined` when the socket is closed already */
export function peerCredentials(socket: Socket): PeerCredentials | undefined {
  const fd = descriptorOf(socket)
  return fd === undefined ? undefined : credentialsOfDescriptor(fd)
}

/** The account of the other end. @returns `undefined` when the kernel does not give it: then the peer gets no trust */
export function peerUser(socket: Socket): number | undefined {
  try {
    return peerCredentials(socket)?.userId
  } catch {
    return undefined
  }
}
