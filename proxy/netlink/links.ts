/** Which interfaces are in the current namespace, and how are they made and changed? System calls only, so all of it may run inside a window. */
import type { Count } from '../../lib/runtime/clock.ts'
import { macAddressFromBytes, type MacAddress } from '../../lib/identity/mac-address.ts'
import { SystemCallError, isErrno } from '../../lib/linux/libc.ts'
import { netlinkAttribute, netlinkAttributes, type NetlinkSocket } from './netlink.ts'

/** An interface as the kernel describes it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  readonly mtu: number
  /** Absent for interfaces without a link layer such as tunnels. */
  readonly macAddress?: MacAddress
  /** `veth`, `tun`, `bridge`, …; absent for what is no virtual device, and for loopback. */
  readonly kind?: string
  /** Of a veth: the index of its other end, in the namespace where that is. */
  readonly peerIndex?: number
  /** Of interfaces that can be deleted together; absent for 0, where all are at first. */
  readonly group?: number
}

/** @see linux/if_link.h, linux/rtnetlink.h, linux/veth.h */
const route = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  headerBytes: 16,
  flagUp: 0x1,
  address: 1,
  name: 3,
  mtu: 4,
  peerIndex: 5,
  information: 18,
  ofFamilies: 26,
  group: 27,
  namespaceFd: 28,
  informationKind: 1,
  informationData: 2,
  vethPeer: 1,
  familyInet6: 10,
  addressGeneration: 8,
  generateNone: 1,
} as const

/** IFNAMSIZ, the terminating zero included. */
const longestName: Count = 16

function header(index = 0, flags = 0, change = 0): Buffer {
  const bytes = Buffer.alloc(route.headerBytes)
  bytes.writeInt32LE(index, 4)
  bytes.writeUInt32LE(flags, 8)
  bytes.writeUInt32LE(change, 12)
  return bytes
}

function nameAttribute(name: string): Buffer {
  const bytes = Buffer.from(`${name}\0`, 'latin1')
  if (bytes.length > longestName) throw new RangeError(`"${name}" is too long for an interface`)
  return netlinkAttribute(route.name, bytes)
}

function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value, 0)
  return netlinkAttribute(type, bytes)
}

function macAttribute(mac: MacAddress): Buffer {
  return netlinkAttribute(route.address, Buffer.from(mac.replaceAll(':', ''), 'hex'))
}

/** @returns `undefined` when there is none of that name */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  let found: Link | undefined
  try {
    const body = Buffer.concat([header(), nameAttribute(name)])
    socket.request('RTM_GETLINK', route.getLink, body, 'set', (type, payload) => {
      if (type === route.newLink) found = readLink(payload)
    })
  } catch (cause) {
    if (isErrno(cause, 'ENODEV')) return undefined
    throw cause
  }
  return found
}

/** Every interface of the namespace. @throws {SystemCallError} */
export function listLinks(socket: NetlinkSocket): Link[] {
  const found: Link[] = []
  socket.list(route.getLink, header(), (type, payload) => {
    const link = type === route.newLink ? readLink(payload) : undefined
    if (link !== undefined) found.push(link)
  })
  return found
}

/** Reads one RTM_NEWLINK. @returns `undefined` for what is none */
export function readLink(message: Buffer): Link | undefined {
  if (message.length < route.headerBytes) return undefined
  let name: string | undefined
  let mtu = 0
  let macAddress: MacAddress | undefined
  let kind: string | undefined
  let peerIndex: number | undefined
  let group = 0
  for (const { type, value } of netlinkAttributes(message, route.headerBytes)) {
    if (type === route.name) name = textOf(value)
    else if (type === route.mtu && value.length === 4) mtu = value.readUInt32LE(0)
    else if (type === route.peerIndex && value.length === 4) peerIndex = value.readUInt32LE(0)
    else if (type === route.group && value.length === 4) group = value.readUInt32LE(0)
    else if (type === route.address && value.length === 6) macAddress = macAddressFromBytes(value)
    else if (type === route.information) {
      for (const inner of netlinkAttributes(value, 0)) {
        if (inner.type === route.informationKind) kind = textOf(inner.value)
      }
    }
  }
  if (name === undefined) return undefined
  return {
    index: message.readInt32LE(4),
    name,
    isUp: (message.readUInt32LE(8) & route.flagUp) !== 0,
    mtu,
    ...(macAddress !== undefined && { macAddress }),
    ...(kind !== undefined && { kind }),
    ...(peerIndex !== undefined && { peerIndex }),
    ...(group !== 0 && { group }),
  }
}

function textOf(value: Buffer): string {
  const end = value.indexOf(0)
  return value.toString('latin1', 0, end === -1 ? value.length : end)
}

/** One end of a pair that is to be made. */
export interface VethEnd {
  readonly name: string
  readonly macAddress?: MacAddress
  readonly mtu?: number
}

/**
 * Makes two interfaces that are each other's cable, both down: one here, one in another namespace.
 * @throws {SystemCallError} EEXIST when a name is taken on either side
 */
export function makeVethPair(
  socket: NetlinkSocket,
  here: VethEnd,
  there: VethEnd & { readonly namespaceFd: number },
): void {
  const peer = Buffer.concat([
    header(),
    endAttributes(there),
    numberAttribute(route.namespaceFd, there.namespaceFd),
  ])
  const information = Buffer.concat([
    netlinkAttribute(route.informationKind, Buffer.from('veth\0')),
    netlinkAttribute(route.informationData, netlinkAttribute(route.vethPeer, peer)),
  ])
  const body = Buffer.concat([
    header(),
    endAttributes(here),
    netlinkAttribute(route.information, information),
  ])
  socket.request('RTM_NEWLINK', route.newLink, body, 'create')
}

function endAttributes({ name, macAddress, mtu }: VethEnd): Buffer {
  return Buffer.concat([
    nameAttribute(name),
    ...(macAddress === undefined ? [] : [macAttribute(macAddress)]),
    ...(mtu === undefined ? [] : [numberAttribute(route.mtu, mtu)]),
  ])
}

/** What is to be changed about an interface; what is absent stays. */
export interface LinkChange {
  readonly macAddress?: MacAddress
  readonly mtu?: number
  readonly up?: true
  /** The kernel makes no link-local address of its own. Counts when the interface goes up. */
  readonly withoutOwnAddress?: true
}

/** @throws {SystemCallError} */
export function setLink(socket: NetlinkSocket, index: number, change: LinkChange): void {
  const { macAddress, mtu, up, withoutOwnAddress } = change
  if (withoutOwnAddress === true) dropOwnAddress(socket, index)
  const flags = up === true ? route.flagUp : 0
  const body = Buffer.concat([
    header(index, flags, flags),
    ...(macAddress === undefined ? [] : [macAttribute(macAddress)]),
    ...(mtu === undefined ? [] : [numberAttribute(route.mtu, mtu)]),
  ])
  socket.request('RTM_NEWLINK', route.newLink, body)
}

/** By itself, because a host without IPv6 refuses it. */
function dropOwnAddress(socket: NetlinkSocket, index: number): void {
  const none = netlinkAttribute(route.addressGeneration, Uint8Array.of(route.generateNone))
  const family = netlinkAttribute(route.ofFamilies, netlinkAttribute(route.familyInet6, none))
  try {
    socket.request('RTM_NEWLINK', route.newLink, Buffer.concat([header(index), family]))
  } catch (cause) {
    if (!(cause instanceof SystemCallError)) throw cause
  }
}

/** Of a veth both ends go. One that is gone already is no error. @throws {SystemCallError} */
export function deleteLink(socket: NetlinkSocket, index: number): void {
  try {
    socket.request('RTM_DELLINK', route.deleteLink, header(index))
  } catch (cause) {
    if (!isErrno(cause, 'ENODEV')) throw cause
  }
}

/** Of the numbers that people give to groups by hand, and far below the kernel's limit. */
const groupNumbers = { first: 1 << 20, count: 1 << 30 } as const

/**
 * Deletes many at once: the kernel waits for its other processors once for all of them, tens of milliseconds, instead of once for
 * each.
 * @throws {SystemCallError}
 */
export function deleteLinks(socket: NetlinkSocket, indexes: readonly number[]): void {
  const [only] = indexes
  if (only === undefined) return
  const group = groupNumbers.first + Math.floor(Math.random() * groupNumbers.count)
  const isTaken = listLinks(socket).some((link) => link.group === group)
  if (indexes.length === 1 || isTaken) {
    for (const index of indexes) deleteLink(socket, index)
    return
  }
  let isEmpty = true
  for (const index of indexes) {
    try {
      const body = Buffer.concat([header(index), numberAttribute(route.group, group)])
      socket.request('RTM_NEWLINK', route.newLink, body)
      isEmpty = false
    } catch (cause) {
      if (!isErrno(cause, 'ENODEV')) throw cause
    }
  }
  if (isEmpty) return
  const body = Buffer.concat([header(), numberAttribute(route.group, group)])
  socket.request('RTM_DELLINK', route.deleteLink, body)
}
