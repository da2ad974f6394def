/** How far may what is sent on a connection go? */
import type { Count } from '../../lib/runtime/clock.ts'
import { linux, setSocketOption } from '../../lib/linux/libc.ts'

/** @see ip(7), ipv6(7) */
const ttl = 2
const unicastHops = 16

/**
 * Sets the hop limit of all that leaves a TCP socket from now on.
 * @param isPeerIpv6 false also for IPv4 on a socket for both families
 * @throws {SystemCallError}
 */
export function setHopLimit(fd: number, isPeerIpv6: boolean, hops: Count): void {
  if (isPeerIpv6) setSocketOption(fd, linux.IPPROTO_IPV6, unicastHops, hops)
  else setSocketOption(fd, linux.IPPROTO_IP, ttl, hops)
}
