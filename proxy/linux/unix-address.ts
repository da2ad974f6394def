/** How does the kernel spell the path of a UNIX socket? */
import { linux } from '../../lib/linux/libc.ts'

/** What `sun_path` holds, its terminating zero included. */
const longestPath = 108

/** `struct sockaddr_un`. @throws RangeError when the path is too long */
export function unixAddress(path: string): Uint8Array {
  const bytes = Buffer.from(`\0\0${path}\0`)
  if (bytes.length > longestPath + 2) throw new RangeError(`"${path}" is too long for a socket`)
  bytes.writeUInt16LE(linux.AF_UNIX, 0)
  return bytes
}
