/** Where do processes of root hand each other descriptors? On a SOCK_SEQPACKET socket that nobody else may open. */
import { closeSync } from 'node:fs'
import { bindPrivately } from '../../lib/sockets/private-socket.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { bindSocket, linux, listenSocket, openSocket } from './libc.ts'
import { unixAddress } from './unix-address.ts'

/** @returns the descriptor, which does not block. @throws {SystemCallError}, RangeError when the path is too long */
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
