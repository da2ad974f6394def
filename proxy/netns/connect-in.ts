/** How does a connection from inside another network namespace come to be? */
import { closeSync } from 'node:fs'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import { bindSocket, callLibc, connectSocket, linux, openSocket } from '../../lib/linux/libc.ts'
import type { NamespaceHandle } from './namespace-handle.ts'
import { socketAddress } from '../linux/socket-address.ts'
import type { NamespaceWindow } from './window.ts'

/** Where to connect to, seen from inside. */
export interface ConnectTarget {
  readonly address: IpAddress
  readonly tcpPort: number
  /** The zone of a link-local address; 0 without one. */
  readonly interfaceIndex: number
  /** IPv4 alone: over loopback whatever the routes are, so that nothing can leave the namespace. */
  readonly overLoopback: boolean
}

/** @see socket(7) */
const bindToDevice = 25
const loopback = Buffer.from('lo\0')
const loopbackSource = socketAddress('127.0.0.1' as IpAddress, 0).bytes

/**
 * Begins to connect from inside and does not wait. Nothing of the connection is read here; whoever is given the descriptor learns how
 * it went.
 * @returns a descriptor, non-blocking, closed on exec
 * @throws {SystemCallError} when the namespace cannot be entered, or when the kernel knows already that nothing is there
 */
export function connectIn(
  window: NamespaceWindow,
  handle: NamespaceHandle,
  target: ConnectTarget,
): number {
  const { address, tcpPort, interfaceIndex, overLoopback } = target
  const { family, bytes } = socketAddress(address, tcpPort, interfaceIndex)
  return window.run(handle, () => {
    const fd = openSocket(family, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
    try {
      if (overLoopback) {
        callLibc('setsockopt', fd, linux.SOL_SOCKET, bindToDevice, loopback, loopback.length)
        // The kernel would choose an address of another device, towards which loopback is no way.
        bindSocket(fd, loopbackSource)
      }
      connectSocket(fd, bytes)
      return fd
    } catch (cause) {
      closeSync(fd)
      throw cause
    }
  })
}
