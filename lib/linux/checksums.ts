/** How does what leaves by an interface get whole checksums? */
import { closeSync } from 'node:fs'
import { callLibc, linux, messageMemory, openSocket } from './libc.ts'

/** @see linux/sockios.h, linux/ethtool.h */
const ethtool = { request: 0x8946, setTransmitChecksums: 0x17, nameBytes: 16, valueAt: 80 } as const

/**
 * Lets the kernel put whole checksums into what leaves by an interface of the current namespace, instead of leaving that to the device.
 * @throws {SystemCallError} ENODEV when there is no such interface
 */
export function fillChecksums(interfaceName: string): void {
  const { bytes, address } = messageMemory(ethtool.valueAt + 8)
  bytes.fill(0, 0, ethtool.valueAt + 8)
  bytes.write(interfaceName, 0, ethtool.nameBytes - 1, 'latin1')
  bytes.writeBigUInt64LE(address + BigInt(ethtool.valueAt), ethtool.nameBytes)
  bytes.writeUInt32LE(ethtool.setTransmitChecksums, ethtool.valueAt)
  const fd = openSocket(linux.AF_INET, linux.SOCK_DGRAM)
  try {
    callLibc('ioctl', fd, ethtool.request, address)
  } finally {
    closeSync(fd)
  }
}
