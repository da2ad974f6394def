/** Who is at the other end of a connection, where Node's own accessors throw? */
import type { Socket } from 'node:net'

/**
 * The other side's address; empty when it cannot be told. Node makes a name of the zone of a link-local address, and throws `ENXIO` when
 * the interface is gone.
 */
export function peerAddress(socket: Socket): string {
  return told(() => socket.remoteAddress)
}

/** The other side's TCP port as text; empty when it cannot be told. */
export function peerPort(socket: Socket): string {
  return told(() => socket.remotePort?.toString())
}

function told(ask: () => string | undefined): string {
  try {
    return ask() ?? ''
  } catch {
    return ''
  }
}
