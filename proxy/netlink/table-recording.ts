/** How do the same rules get into a thousand namespaces? What the library made of them once is read back, and sent again. */
import type { Count } from '../../lib/runtime/clock.ts'
import { DeferredClose } from '../linux/deferred-close.ts'
import {
  acknowledged,
  listByNetlink,
  netlinkAttribute,
  netlinkAttributes,
  netlinkMessage,
  NetlinkSocket,
} from './netlink.ts'

/** @see linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h */
const netfilter = {
  protocol: 12,
  subsystem: 10,
  batchBegin: 0x10,
  batchEnd: 0x11,
  familyInet: 1,
  newTable: 0,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  getRule: 7,
  /** The attribute that every object of a table begins with: the table's name. */
  attributeTable: 1,
  generalBytes: 4,
} as const
const flags = { request: 0x1, create: 0x400, append: 0x800 } as const

/**
 * The attributes by which a chain and a rule are made. The kernel sends others besides, such as handles and counters: those belong to
 * one namespace.
 */
const made = {
  /** Table, name, hook, policy, type. */
  chain: new Set([1, 3, 4, 5, 7]),
  /** Table, chain, expressions, what the library noted for itself. */
  rule: new Set([1, 2, 4, 7]),
} as const

/** One transaction that replaces a table, whatever it is where the transaction is sent, by what it was where it was recorded. */
export interface TableRecording {
  readonly messages: Uint8Array
}

/**
 * Reads a table of the `inet` family in the namespace the calling thread is in. Sets and maps are not recorded. System calls only.
 * @throws {SystemCallError} when netlink refuses
 */
export function recordTable(table: string): TableRecording {
  const named = nameAttribute(table)
  return replacement(
    named,
    listOf(netfilter.getChain, table, named, made.chain),
    listOf(netfilter.getRule, table, named, made.rule),
  )
}

/** Removes a table of the `inet` family where it is sent; one that is not there is no error. */
export function removalOf(table: string): TableRecording {
  return replacement(nameAttribute(table), [], [])
}

function nameAttribute(table: string): Buffer {
  return netlinkAttribute(netfilter.attributeTable, Buffer.from(`${table}\0`))
}

function replacement(
  named: Buffer,
  chains: readonly Buffer[],
  rules: readonly Buffer[],
): TableRecording {
  const changes: [type: number, flags: number, attributes: Uint8Array][] = [
    [netfilter.newTable, flags.create, named],
    [netfilter.deleteTable, 0, named],
  ]
  if (chains.length > 0) changes.push([netfilter.newTable, flags.create, named])
  for (const chain of chains) changes.push([netfilter.newChain, flags.create, chain])
  for (const rule of rules) changes.push([netfilter.newRule, flags.create | flags.append, rule])
  const last = changes.length - 1
  const messages = Buffer.concat([
    batchMark(netfilter.batchBegin),
    ...changes.map(([type, flag, attributes], index) =>
      netlinkMessage(
        typeOf(type),
        flags.request | flag | (index === last ? acknowledged : 0),
        Buffer.concat([generalHeader(netfilter.familyInet, 0), attributes]),
      ),
    ),
    batchMark(netfilter.batchEnd),
  ])
  return { messages }
}

/** Counts the rules of a table of the `inet` family as {@link recordTable} finds it. @throws as it does */
export function countRules(table: string): Count {
  const named = nameAttribute(table)
  return listOf(netfilter.getRule, table, named, new Set()).length
}

function listOf(
  type: number,
  table: string,
  named: Uint8Array,
  kept: ReadonlySet<number>,
): readonly Buffer[] {
  const found: Buffer[] = []
  const body = Buffer.concat([generalHeader(netfilter.familyInet, 0), named])
  const dump = { protocol: netfilter.protocol, type: typeOf(type), body }
  // The kernel ends a list with another message type, and lists chains of other tables as well.
  listByNetlink(dump, (_, payload) => {
    const attributes = [...netlinkAttributes(payload, netfilter.generalBytes)]
    const [first] = attributes
    if (first?.value.toString('latin1') !== `${table}\0`) return
    found.push(
      Buffer.concat(
        attributes
          .filter((one) => kept.has(one.type))
          .map((one) => netlinkAttribute(one.type, one.value)),
      ),
    )
  })
  return found
}

function typeOf(type: number): number {
  return (netfilter.subsystem << 8) | type
}

function batchMark(type: number): Uint8Array {
  return netlinkMessage(type, flags.request, generalHeader(0, netfilter.subsystem))
}

/** `nfgenmsg`: family, version, and what the message is for. */
function generalHeader(family: number, resource: number): Buffer {
  const bytes = Buffer.alloc(netfilter.generalBytes)
  bytes.writeUInt8(family, 0)
  bytes.writeUInt16BE(resource, 2)
  return bytes
}

/** For acknowledgements: refusals of every message of a transaction, each with the message. */
const answerBytes = 32_768
const mostSockets: Count = 256

/** Sends recordings, in many namespaces, one after the other. */
export class TablePlayer {
  readonly #answers = Buffer.alloc(answerBytes)
  readonly #sockets = new DeferredClose<NetlinkSocket>(mostSockets, (socket) => socket.close())

  /**
   * Does it in the namespace the calling thread is in. System calls only. Follow it with {@link release} when a batch is done.
   * @throws {SystemCallError} with what the kernel refused first; then nothing has changed
   */
  play({ messages }: TableRecording): void {
    this.#sockets.makeRoom()
    const socket = new NetlinkSocket(netfilter.protocol, this.#answers)
    this.#sockets.add(socket)
    socket.transact('nftables', messages)
  }

  /** Closes the sockets of what was played; until then they pin their namespaces. */
  release(): void {
    this.#sockets.closeAll()
  }
}
