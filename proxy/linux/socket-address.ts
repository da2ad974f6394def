/** How does the kernel spell an address to bind to? */
import { ipAddressBytes, isIpv6, type IpAddress } from '../../lib/identity/ip-address.ts'
import { linux } from '../../lib/linux/libc.ts'

/** `struct sockaddr_in` or `sockaddr_in6`. `interfaceIndex` is the zone that a link-local address needs. */
export function socketAddress(
  address: IpAddress,
  tcpPort: number,
  interfaceIndex = 0,
): { readonly family: number; readonly bytes: Uint8Array } {
  const octets = ipAddressBytes(address)
  if (!isIpv6(address)) {
    const bytes = Buffer.alloc(16)
    bytes.writeUInt16LE(linux.AF_INET, 0)
    bytes.writeUInt16BE(tcpPort, 2)
    bytes.set(octets, 4)
    return { family: linux.AF_INET, bytes }
  }
  const bytes = Buffer.alloc(28)
  bytes.writeUInt16LE(linux.AF_INET6, 0)
  bytes.writeUInt16BE(tcpPort, 2)
  bytes.set(octets, 8)
  bytes.writeUInt32LE(interfaceIndex, 24)
  return { family: linux.AF_INET6, bytes }
}
