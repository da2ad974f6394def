import { callLibc, linux } from '../../lib/linux/libc.ts'
import type { Milliseconds } from '../../lib/runtime/clock.ts'

/** @see struct tcp_info in linux/tcp.h; times are in microseconds */
const tcpInfo = { option: 11, bytes: 104, roundTrip: 68 } as const

/**
 * How long a packet takes to the other end of a connection and back, as the kernel has measured it: a busy host delays our callbacks and
 * not this.
 * @returns `undefined` where the kernel does not report it
 */
export function roundTripOf(fd: number): Milliseconds | undefined {
  const info = Buffer.alloc(tcpInfo.bytes)
  const length = Buffer.alloc(4)
  length.writeInt32LE(info.length)
  try {
    callLibc('getsockopt', fd, linux.IPPROTO_TCP, tcpInfo.option, info, length)
  } catch {
    return undefined
  }
  const time = length.readInt32LE() > tcpInfo.roundTrip ? info.readUInt32LE(tcpInfo.roundTrip) : 0
  return time === 0 ? undefined : time / 1_000
}
