/** Which process connected to this UNIX socket? Said by the kernel, not by the process. */
import type { Socket } from 'node:net'
import { callLibc, linux } from './libc.ts'

/** A process at the other end, as it was when it connected. */
export interface Peer {
  /** 0 when it lives in a PID namespace that is not seen from here. */
  readonly pid: number
  readonly userId: number
}

/** `struct ucred`: three integers. @see unix(7) SO_PEERCRED */
const credentialBytes = 12

/** @throws {SystemCallError} when the socket is no UNIX stream socket */
export function peerOfDescriptor(fd: number): Peer {
  const bytes = Buffer.alloc(credentialBytes)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(credentialBytes)
  callLibc('getsockopt', fd, linux.SOL_SOCKET, linux.SO_PEERCRED, bytes, length)
  return { pid: bytes.readInt32LE(0), userId: bytes.readUInt32LE(4) }
}

/** @returns `undefined` when the socket is closed already */
export function peerOf(socket: Socket): Peer | undefined {
  // Node offers no other way to the descriptor.
  const { _handle: handle } = socket as Socket & { _handle?: { fd?: number } | null }
  const fd = handle?.fd
  return fd === undefined || fd < 0 ? undefined : peerOfDescriptor(fd)
}
