/** How does the kernel list what it has, and change it? By netlink, inside the namespace in question, without a program. */
import { closeSync } from 'node:fs'
import {
  linux,
  openSocket,
  receiveBytes,
  sendBytes,
  SystemCallError,
} from '../../lib/linux/libc.ts'

/** @see linux/netlink.h */
const headerBytes = 16
const type = { error: 2, done: 3 } as const
const requestDump = 0x1 | 0x300
/** The kernel answers when it has done what was requested. */
export const acknowledged = 0x4
const requestAcknowledged = 0x1 | acknowledged

/** The kernel fills up to 32 KiB at a time when the reader offers as much. */
const receiveLength = 32_768
/** Far more than a namespace has of anything; a list that goes on longer is given up. */
const mostReads = 1_000

/** What to list. */
export interface NetlinkDump {
  /** Of the socket: 0 for routes and addresses, 12 for netfilter. */
  readonly protocol: number
  readonly type: number
  /** What follows the header. */
  readonly body: Uint8Array
}

/** One message of the answer. `payload` is valid during the call alone. */
export type VisitMessage = (type: number, payload: Buffer) => void

/**
 * Requests a list in the namespace the calling thread is in. System calls only, so it may run inside a window.
 * @throws {SystemCallError} when netlink refuses, Error when the kernel answers with one
 */
export function listByNetlink(dump: NetlinkDump, visit: VisitMessage): void {
  const socket = new NetlinkSocket(dump.protocol)
  try {
    socket.list(dump.type, dump.body, visit)
  } finally {
    socket.close()
  }
}

/** How a change is to be made: `create` refuses what is there already. */
export type NetlinkChange = 'create' | 'set'
const changeFlags: Readonly<Record<NetlinkChange, number>> = { create: 0x200 | 0x400, set: 0 }

/**
 * A netlink socket of the namespace that the calling thread is in when it is made, for several requests. The kernel has done what it was
 * requested when sending returns, so nothing ever waits.
 */
export class NetlinkSocket {
  readonly #fd: number
  readonly #buffer: Buffer

  /**
   * @param buffer for answers; several sockets may have one together
   * @throws {SystemCallError}
   */
  constructor(protocol = 0, buffer = Buffer.alloc(receiveLength)) {
    this.#buffer = buffer
    this.#fd = openSocket(linux.AF_NETLINK, linux.SOCK_RAW, protocol)
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** Visits every object of a list. @throws as {@link listByNetlink} */
  list(type: number, body: Uint8Array, visit: VisitMessage): void {
    sendBytes(this.#fd, netlinkMessage(type, requestDump, body))
    for (let read = 0; read < mostReads; read += 1) {
      if (readMessages(this.#receive(), visit)) return
    }
    throw new Error('The list of the kernel has no end')
  }

  /**
   * Changes something, or reads one thing.
   * @param name for errors: `RTM_NEWLINK`
   * @throws {SystemCallError} with the kernel's word
   */
  request(
    name: string,
    type: number,
    body: Uint8Array,
    change: NetlinkChange = 'set',
    visit: VisitMessage = () => undefined,
  ): void {
    sendBytes(this.#fd, netlinkMessage(type, requestAcknowledged | changeFlags[change], body))
    for (let read = 0; read < mostReads; read += 1) {
      const error = readAnswer(this.#receive(), visit)
      if (error === undefined) continue
      if (error !== 0) throw new SystemCallError(name, error)
      return
    }
    throw new Error('The kernel does not answer')
  }

  /**
   * Sends messages that belong together, of which the last requests an acknowledgement.
   * @param name for errors
   * @throws {SystemCallError} with the kernel's first word against them; Error when it did not answer
   */
  transact(name: string, messages: Uint8Array): void {
    sendBytes(this.#fd, messages)
    const error = readAnswer(this.#receive(), () => undefined)
    if (error === undefined) throw new Error('The kernel does not answer')
    if (error !== 0) throw new SystemCallError(name, error)
  }

  #receive(): Buffer {
    return this.#buffer.subarray(0, receiveBytes(this.#fd, this.#buffer))
  }
}

/** A message with its header, unpadded. */
export function netlinkMessage(type: number, flags: number, body: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(headerBytes + body.length)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt32LE(1, 8)
  bytes.set(body, headerBytes)
  return bytes
}

/** @returns the error number at the end of an answer, 0 for none, `undefined` when the answer goes on */
function readAnswer(bytes: Buffer, visit: VisitMessage): number | undefined {
  for (const { kind, payload } of messagesIn(bytes)) {
    if (kind === type.error) return -payload.readInt32LE(0)
    visit(kind, payload)
  }
  return undefined
}

/**
 * Reads the messages of one datagram.
 * @returns true when the list has ended
 * @throws Error when the kernel answers with an error or the bytes are no netlink messages
 */
export function readMessages(bytes: Buffer, visit: VisitMessage): boolean {
  for (const { kind, payload } of messagesIn(bytes)) {
    if (kind === type.done) return true
    if (kind === type.error) throw new Error('The kernel refused to list')
    visit(kind, payload)
  }
  return false
}

function* messagesIn(bytes: Buffer): Generator<{ kind: number; payload: Buffer }, void, void> {
  for (let at = 0; at + headerBytes <= bytes.length;) {
    const length = bytes.readUInt32LE(at)
    if (length < headerBytes || at + length > bytes.length) {
      throw new Error('A netlink message has an impossible length')
    }
    yield {
      kind: bytes.readUInt16LE(at + 4),
      payload: bytes.subarray(at + headerBytes, at + length),
    }
    at += alignNetlink(length)
  }
}

/** Netlink messages and attributes begin at multiples of four. */
export function alignNetlink(length: number): number {
  return (length + 3) & ~3
}

/** One attribute, padded to its place: length, type, value. */
export function netlinkAttribute(attributeType: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(alignNetlink(4 + value.length))
  bytes.writeUInt16LE(4 + value.length, 0)
  bytes.writeUInt16LE(attributeType, 2)
  bytes.set(value, 4)
  return bytes
}

/** Flags beside the type of an attribute: that it is nested, or in network order. */
const attributeTypeMask = 0x3fff

/** The attributes from an offset on. Values are valid as long as the bytes are. Broken ones end the list. */
export function* netlinkAttributes(
  bytes: Buffer,
  offset: number,
): Generator<{ readonly type: number; readonly value: Buffer }, void, void> {
  for (let at = offset; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) return
    yield {
      type: bytes.readUInt16LE(at + 2) & attributeTypeMask,
      value: bytes.subarray(at + 4, at + length),
    }
    at += alignNetlink(length)
  }
}
