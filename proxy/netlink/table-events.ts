/** Who changes nftables in the current namespace, and when? As the kernel reports it to every listener. */
import { closeSync } from 'node:fs'
import type { Bytes, Count } from '../../lib/runtime/clock.ts'
import {
  bindSocket,
  isErrno,
  linux,
  openSocket,
  pollReadable,
  receiveBytes,
  setSocketOption,
} from '../../lib/linux/libc.ts'
import { netlinkAttributes, readMessages } from './netlink.ts'

/** @see linux/netlink.h, linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const nftables = {
  protocol: 12,
  addressBytes: 12,
  /** Group NFNLGRP_NFTABLES as a bit. */
  groups: 1 << 6,
  /** NFT_MSG_NEWGEN of the subsystem of nftables: the end of each change, with its author. */
  newGeneration: (10 << 8) | 15,
  headerBytes: 4,
  processId: 2,
  processName: 3,
  receiveBuffer: 8,
} as const

/** A ruleset of hundreds of rules; a change that does not fit is noticed all the same, without its author. */
const heldBytes: Bytes = 128 * 1024
const readLength: Bytes = 32_768
/** What else there is waits for the next look. */
const mostReads: Count = 64

/** Whoever committed a change. */
export interface ChangeAuthor {
  readonly pid: number
  /** As the kernel has it, at most 15 characters: `nft`. */
  readonly program: string
}

/** Changes since the last look. */
export interface TableChange {
  /** The last that is known; none when there were more changes than the kernel could keep. */
  readonly by: ChangeAuthor | undefined
}

/** Listens in the namespace that the calling thread is in when it is made. System calls only. It pins the namespace until it is closed. */
export class TableEvents {
  readonly fd: number

  /** @throws {SystemCallError} EPERM without CAP_NET_ADMIN */
  constructor() {
    this.fd = openSocket(linux.AF_NETLINK, linux.SOCK_RAW | linux.SOCK_NONBLOCK, nftables.protocol)
    try {
      setSocketOption(this.fd, linux.SOL_SOCKET, nftables.receiveBuffer, heldBytes)
      const address = Buffer.alloc(nftables.addressBytes)
      address.writeUInt16LE(linux.AF_NETLINK, 0)
      address.writeUInt32LE(nftables.groups, 8)
      bindSocket(this.fd, address)
    } catch (cause) {
      closeSync(this.fd)
      throw cause
    }
  }

  close(): void {
    closeSync(this.fd)
  }

  /** @param isOurs whose changes do not count. @returns `undefined` when no other program has changed anything */
  take(isOurs: (author: ChangeAuthor) => boolean): TableChange | undefined {
    const buffer = Buffer.alloc(readLength)
    let change: TableChange | undefined
    for (let read = 0; read < mostReads; read += 1) {
      try {
        const length = receiveBytes(this.fd, buffer)
        for (const author of authorsIn(buffer.subarray(0, length))) {
          if (!isOurs(author)) change = { by: author }
        }
      } catch (cause) {
        if (!isErrno(cause, 'ENOBUFS')) return change
        change ??= { by: undefined }
      }
    }
    return change
  }
}

/** Those of all these that something has happened at. One system call. */
export function changedOf<Watched extends { readonly events: TableEvents }>(
  all: readonly Watched[],
): readonly Watched[] {
  const readable = pollReadable(all.map(({ events }) => events.fd))
  return all.filter((_one, index) => readable.has(index))
}

function authorsIn(bytes: Buffer): readonly ChangeAuthor[] {
  const authors: ChangeAuthor[] = []
  readMessages(bytes, (type, payload) => {
    if (type !== nftables.newGeneration) return
    let pid = 0
    let program = ''
    for (const { type: attribute, value } of netlinkAttributes(payload, nftables.headerBytes)) {
      if (attribute === nftables.processId && value.length === 4) pid = value.readUInt32BE()
      if (attribute === nftables.processName)
        program = value.toString('latin1').replace(/\0.*$/, '')
    }
    authors.push({ pid, program })
  })
  return authors
}
