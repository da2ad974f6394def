import { callLibc, linux } from '../../lib/linux/libc.ts'

/**
 * Lets accept(2) return at once again where it would wait. That is a property of the socket, not of a descriptor: whoever has a copy
 * can change it for all.
 * @returns true when it would have waited
 * @throws {SystemCallError} the descriptor is not open
 * @see fcntl(2), F_SETFL
 */
export function restoreNonBlocking(fd: number): boolean {
  const flags = callLibc('fcntl', fd, linux.F_GETFL, 0)
  if ((flags & linux.SOCK_NONBLOCK) !== 0) return false
  callLibc('fcntl', fd, linux.F_SETFL, flags | linux.SOCK_NONBLOCK)
  return true
}
