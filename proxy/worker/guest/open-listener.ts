/** How does a worker open a listening socket by itself, in the namespace it was started in? */
import { closeSync } from 'node:fs'
import { parseIpAddress } from '../../../lib/identity/ip-address.ts'
import { bindSocket, linux, openSocket, setSocketOption } from '../../../lib/linux/libc.ts'
import { socketAddress } from '../../linux/socket-address.ts'

/** @returns a descriptor that is bound @throws {SystemCallError} EADDRINUSE and the like; RangeError when the host is no address */
export function openListener(host: string, tcpPort: number): number {
  const address = parseIpAddress(host)
  if (address === undefined) throw new RangeError(`Cannot listen on "${host}": it is no address`)
  const { family, bytes } = socketAddress(address, tcpPort)
  const fd = openSocket(family, linux.SOCK_STREAM)
  try {
    setSocketOption(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1)
    // Accepted connections take it over.
    setSocketOption(fd, linux.IPPROTO_TCP, linux.TCP_NODELAY, 1)
    bindSocket(fd, bytes)
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
  return fd
}
