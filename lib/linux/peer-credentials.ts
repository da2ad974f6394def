/** Which process connected to a UNIX socket? The kernel says it, not the process. */

/** A process at the other end, as it was when it connected. */
export interface PeerCredentials {
  /** 0 when it lives in a PID namespace that is not seen from here. */
  readonly pid: number
  readonly userId: number
}

/** `getsockopt(2)`, which Node does not offer. @throws Error when the system refuses */
export type GetSocketOption = (
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
  length: Uint8Array,
) => void

/** Numbers of the Linux ABI that x86-64 and arm64 share. @see unix(7) SO_PEERCRED */
const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** `struct ucred`: three integers. */
const credentialBytes = 12

/** @throws Error when the socket is no UNIX stream socket */
export function peerCredentials(fd: number, getSocketOption: GetSocketOption): PeerCredentials {
  const bytes = Buffer.alloc(credentialBytes)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(credentialBytes)
  getSocketOption(fd, SOL_SOCKET, SO_PEERCRED, bytes, length)
  return { pid: bytes.readInt32LE(0), userId: bytes.readUInt32LE(4) }
}
