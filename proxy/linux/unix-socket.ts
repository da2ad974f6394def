/** How does the supervisor listen and connect where Node cannot: with messages instead of a stream, or for another process? */
import { closeSync } from 'node:fs'
import { bindPrivately } from '../../lib/sockets/private-socket.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { bindSocket, connectSocket, linux, listenSocket, openSocket } from '../../lib/linux/libc.ts'
import { unixAddress } from './unix-address.ts'

/**
 * Listens for messages with descriptors. No other user may connect.
 * @returns the descriptor, which does not block
 * @throws {SystemCallError}, RangeError when the path is too long
 */
export function listenForDescriptors(path: string, backlog: Count): number {
  const address = unixAddress(path)
  const fd = openSocket(linux.AF_UNIX, linux.SOCK_SEQPACKET | linux.SOCK_NONBLOCK)
  try {
    bindPrivately(() => bindSocket(fd, address))
    listenSocket(fd, backlog)
    return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

/**
 * @param type such as `linux.SOCK_STREAM`, with `linux.SOCK_NONBLOCK` where it must not wait
 * @throws {SystemCallError} ENOENT, ECONNREFUSED, EACCES, or EAGAIN when too many wait there already
 */
export function connectUnix(path: string, type: number): number {
  const address = unixAddress(path)
  const fd = openSocket(linux.AF_UNIX, type)
  try {
    connectSocket(fd, address)
    return fd
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}
