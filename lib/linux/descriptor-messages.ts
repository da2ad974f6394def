/** How do descriptors go from one process to another? In messages of SCM_RIGHTS over UNIX sockets. */
import type { Count } from '../runtime/clock.ts'
import { callLibc, linux, messageMemory, type StableMemory } from './libc.ts'

/** As many descriptors as one message may carry; the kernel's own bound is 253 (SCM_MAX_FD). */
export const descriptorsPerMessage = 200

/**
 * Where the parts of one message lie in the stable memory. `struct msghdr` and `struct cmsghdr` look the same on every
 * 64-bit Linux: pointers and `size_t` of eight bytes, `int` of four with padding behind.
 */
const layout = { header: 0, vector: 64, payload: 80, control: 512 } as const
const controlHeaderBytes = 16
const messageBytes = layout.control + controlHeaderBytes + (descriptorsPerMessage + 56) * 4
const countBytes = 4

function layMessage(
  memory: StableMemory,
  controlLength: number,
  payloadLength: number = countBytes,
): void {
  const { bytes, address } = memory
  bytes.fill(0, 0, layout.control)
  const at = (offset: number): bigint => address + BigInt(offset)
  bytes.writeBigUInt64LE(at(layout.vector), 16)
  bytes.writeBigUInt64LE(1n, 24)
  bytes.writeBigUInt64LE(at(layout.control), 32)
  bytes.writeBigUInt64LE(BigInt(controlLength), 40)
  bytes.writeBigUInt64LE(at(layout.payload), layout.vector)
  bytes.writeBigUInt64LE(BigInt(payloadLength), layout.vector + 8)
}

/**
 * Sends descriptors over a connected UNIX socket by SCM_RIGHTS. Never waits.
 * @param payload what goes with them, 400 bytes at most; their number, as a little-endian 32-bit integer, when absent
 * @throws {SystemCallError} EAGAIN while the receiver is behind, EPIPE or ECONNRESET when it is gone
 */
export function sendDescriptors(
  channelFd: number,
  fds: readonly number[],
  payload: Uint8Array = countOf(fds),
): void {
  if (fds.length === 0 || fds.length > descriptorsPerMessage) {
    throw new RangeError(`One message carries 1 to ${descriptorsPerMessage} descriptors`)
  }
  if (payload.length > layout.control - layout.payload) {
    throw new RangeError('The message beside the descriptors is too long')
  }
  const message = messageMemory(messageBytes)
  const controlLength = controlHeaderBytes + fds.length * 4
  // The kernel wants the buffer rounded up to eight bytes, the length in the header not.
  layMessage(message, Math.ceil(controlLength / 8) * 8, payload.length)
  const { bytes } = message
  bytes.set(payload, layout.payload)
  bytes.writeBigUInt64LE(BigInt(controlLength), layout.control)
  bytes.writeInt32LE(linux.SOL_SOCKET, layout.control + 8)
  bytes.writeInt32LE(linux.SCM_RIGHTS, layout.control + 12)
  fds.forEach((fd, index) => {
    bytes.writeInt32LE(fd, layout.control + controlHeaderBytes + index * 4)
  })
  callLibc('sendmsg', channelFd, message.address, linux.MSG_DONTWAIT | linux.MSG_NOSIGNAL)
}

function countOf(fds: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(countBytes)
  bytes.writeUInt32LE(fds.length)
  return bytes
}

/** What one message of descriptors brought. */
export interface ReceivedDescriptors {
  /** How many the sender sent. */
  readonly count: Count
  /** What arrived, in order, closed on exec. Fewer than `count` when this process may not hold more. */
  readonly fds: readonly number[]
}

/**
 * Takes one message of {@link sendDescriptors}. Never waits.
 * @throws {SystemCallError} EAGAIN when there is none
 */
export function receiveDescriptors(channelFd: number): ReceivedDescriptors {
  const message = messageMemory(messageBytes)
  layMessage(message, messageBytes - layout.control)
  const { bytes } = message
  const received = callLibc(
    'recvmsg',
    channelFd,
    message.address,
    linux.MSG_DONTWAIT | linux.MSG_CMSG_CLOEXEC,
  )
  const controlLength = Number(bytes.readBigUInt64LE(40))
  const fds: number[] = []
  if (controlLength >= controlHeaderBytes) {
    const end = layout.control + Number(bytes.readBigUInt64LE(layout.control))
    for (let at = layout.control + controlHeaderBytes; at + 4 <= end; at += 4) {
      fds.push(bytes.readInt32LE(at))
    }
  }
  // The end of the channel, or a message without a number in it.
  return { count: received < countBytes ? 0 : bytes.readUInt32LE(layout.payload), fds }
}
