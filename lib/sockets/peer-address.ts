/** Who is at the other end of a connection, where Node's own accessors throw? */
import type { Socket } from 'node:net'

/**
 * The other side's address; empty when it is not known. Node makes a name of the zone of a link-local address, and throws `ENXIO` when
 * the interface is gone.
 */
export function peerAddress(socket: Socket): string {
  return orEmpty(() => socket.remoteAddress)
}

/** The other side's TCP port as text; empty when it is not known. */
export function peerPort(socket: Socket): string {
  return orEmpty(() => socket.remotePort?.toString())
}

function orEmpty(read: () => string | undefined): string {
  try {
    return read() ?? ''
  } catch {
    return ''
  }
}
