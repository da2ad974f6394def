/** Through which interface of its namespace did an accepted connection come in? By the kernel, which knows with SYN cookies too. */
import type { Bytes } from '../../lib/runtime/clock.ts'
import { isIpv6 } from '../../lib/identity/ip-address.ts'
import { callLibc, linux, setSocketOption, SystemCallError } from '../../lib/linux/libc.ts'
import type { SocketEnd } from './socket-ends.ts'

/** @see linux/in.h, linux/in6.h, linux/sockios.h */
const options = {
  IP_PKTINFO: 8,
  IP_PKTOPTIONS: 9,
  IPV6_MULTICAST_IF: 17,
  SIOCGIFNAME: 0x8910,
} as const

/** `struct cmsghdr` on every 64-bit Linux: length, level, type. */
const headerBytes = 16
const controlBytes = 256
/** `struct ifreq`: a name with its terminating zero, and the index in its place. */
const request = { bytes: 40, nameBytes: 16 } as const

/**
 * Makes connections of a listening socket keep by which interface they came, if they are of IPv4. Those that the socket accepts take it
 * over, which saves {@link IngressReader} a call for each.
 * @throws {SystemCallError}
 */
export function reportIngress(listenerFd: number): void {
  setSocketOption(listenerFd, linux.IPPROTO_IP, options.IP_PKTINFO, 1)
}

/** Reads the ingress interfaces of accepted sockets. Nothing is remembered: both indexes and names are given again. */
export class IngressReader {
  readonly #control = Buffer.alloc(controlBytes)
  readonly #length = Buffer.alloc(4)
  readonly #request = Buffer.alloc(request.bytes)

  /**
   * The interface, by its index in the socket's namespace, through which the last packet of the handshake came.
   * @param peer the other end, as far as it is known without a call
   * @returns 0 when the kernel does not know
   */
  indexOf(fd: number, peer: Pick<SocketEnd, 'address' | 'interfaceIndex'>): number {
    // A link-local address is one of an interface, and the kernel holds the connection to it.
    if (peer.interfaceIndex !== 0) return peer.interfaceIndex
    try {
      return isIpv6(peer.address) ? this.#ofIpv6(fd) : this.#ofIpv4(fd)
    } catch (cause) {
      if (cause instanceof SystemCallError) return 0
      throw cause
    }
  }

  /** @returns `undefined` when the socket's namespace has no such interface any more */
  nameOf(fd: number, interfaceIndex: number): string | undefined {
    const bytes = this.#request
    bytes.writeInt32LE(interfaceIndex, request.nameBytes)
    try {
      callLibc('ioctl', fd, options.SIOCGIFNAME, bytes)
    } catch (cause) {
      if (cause instanceof SystemCallError) return undefined
      throw cause
    }
    const end = bytes.indexOf(0)
    return bytes.toString('latin1', 0, Math.min(end, request.nameBytes))
  }

  #ofIpv4(fd: number): number {
    const index = this.#packetInformation(fd)
    if (index !== 0) return index
    // A listener that another process made. What is read was written down at the handshake whether it was requested or not.
    reportIngress(fd)
    return this.#packetInformation(fd)
  }

  /**
   * An accepted connection begins with the interface of its handshake for this, and nothing else can set it for a connection.
   * @see net/ipv6/tcp_ipv6.c tcp_v6_syn_recv_sock(), mcast_oif
   */
  #ofIpv6(fd: number): number {
    this.#length.writeUInt32LE(4)
    callLibc(
      'getsockopt',
      fd,
      linux.IPPROTO_IPV6,
      options.IPV6_MULTICAST_IF,
      this.#control,
      this.#length,
    )
    return this.#control.readInt32LE(0)
  }

  #packetInformation(fd: number): number {
    this.#length.writeUInt32LE(controlBytes)
    callLibc('getsockopt', fd, linux.IPPROTO_IP, options.IP_PKTOPTIONS, this.#control, this.#length)
    return indexIn(this.#control, this.#length.readUInt32LE())
  }
}

/**
 * Finds the index in the control messages of IPv4: it is the first field of `struct in_pktinfo`.
 * @param size how many of the bytes are control messages
 * @returns 0 when none of them holds one
 */
export function indexIn(control: Buffer, size: Bytes = control.length): number {
  for (let at = 0; at + headerBytes <= size;) {
    // The upper half of the length is never used, and reading both makes an object.
    const length = control.readUInt32LE(at)
    const end = at + length
    if (length < headerBytes || end > size) return 0
    const isWanted =
      control.readInt32LE(at + 8) === linux.IPPROTO_IP &&
      control.readInt32LE(at + 12) === options.IP_PKTINFO
    const index = at + headerBytes
    if (isWanted) return index + 4 <= end ? control.readInt32LE(index) : 0
    at += Math.ceil(length / 8) * 8
  }
  return 0
}
