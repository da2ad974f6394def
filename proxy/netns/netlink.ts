/** How does the kernel list what it has? By netlink, asked inside the namespace in question, without a program. */
import { closeSync } from 'node:fs'
import { linux, openSocket, receiveBytes, sendBytes } from './libc.ts'

/** @see linux/netlink.h */
const headerBytes = 16
const type = { error: 2, done: 3 } as const
const requestDump = 0x1 | 0x300

/** The kernel fills up to 32 KiB at a time when the reader offers as much. */
const receiveLength = 32_768
/** Far more than a namespace has of anything; a list that goes on longer is given up. */
const mostReads = 1_000

/** What to list. */
export interface NetlinkQuestion {
  /** Of the socket: 0 for routes and addresses, 12 for netfilter. */
  readonly protocol: number
  readonly type: number
  /** What follows the header. */
  readonly body: Uint8Array
}

/** One message of the answer. `payload` is valid during the call alone. */
export type VisitMessage = (type: number, payload: Buffer) => void

/**
 * Asks for a list in the namespace the calling thread is in. System calls only, so it may run inside a window.
 * @throws {SystemCallError} when netlink refuses, Error when the kernel answers with one
 */
export function listByNetlink(question: NetlinkQuestion, visit: VisitMessage): void {
  const fd = openSocket(linux.AF_NETLINK, linux.SOCK_RAW, question.protocol)
  try {
    sendBytes(fd, request(question))
    const buffer = Buffer.alloc(receiveLength)
    for (let read = 0; read < mostReads; read += 1) {
      const length = receiveBytes(fd, buffer)
      if (readMessages(buffer.subarray(0, length), visit)) return
    }
    throw new Error('The list of the kernel has no end')
  } finally {
    closeSync(fd)
  }
}

function request({ type, body }: NetlinkQuestion): Uint8Array {
  const bytes = Buffer.alloc(headerBytes + body.length)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(requestDump, 6)
  bytes.writeUInt32LE(1, 8)
  bytes.set(body, headerBytes)
  return bytes
}

/**
 * Reads the messages of one datagram.
 * @returns true when the list has ended
 * @throws Error when the kernel answers with an error or the bytes are no netlink messages
 */
export function readMessages(bytes: Buffer, visit: VisitMessage): boolean {
  for (let at = 0; at + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    if (length < headerBytes || at + length > bytes.length) {
      throw new Error('A netlink message has an impossible length')
    }
    const kind = bytes.readUInt16LE(at + 4)
    if (kind === type.done) return true
    if (kind === type.error) throw new Error('The kernel refused to list')
    visit(kind, bytes.subarray(at + headerBytes, at + length))
    at += alignNetlink(length)
  }
  return false
}

/** Netlink messages and attributes begin at multiples of four. */
export function alignNetlink(length: number): number {
  return (length + 3) & ~3
}
