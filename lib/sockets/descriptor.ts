/** Which descriptor does a socket of Node have? */
import type { Server, Socket } from 'node:net'

/** @returns `undefined` when the socket is closed already */
export function descriptorOf(socket: Socket | Server): number | undefined {
  // Node keeps the number under its handle and offers no other way to it.
  const { _handle: handle } = socket as { _handle?: { fd?: number } | null }
  const fd = handle?.fd
  return fd === undefined || fd < 0 ? undefined : fd
}
