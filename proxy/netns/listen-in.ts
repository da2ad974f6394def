/** How do listening sockets of another network namespace come to be? Sockets keep the namespace they were made in. */
import { closeSync } from 'node:fs'
import type { Count } from '../../lib/runtime/clock.ts'
import { isIpv6, isLinkLocalIpv6, type IpAddress } from '../../lib/identity/ip-address.ts'
import { listAddresses, type LinkAddress } from '../netlink/addresses.ts'
import { reportIngress } from './ingress.ts'
import { interfaceIndexOf, interfaceNameOf } from '../netlink/interface-name.ts'
import {
  bindSocket,
  linux,
  listenSocket,
  openSocket,
  setSocketOption,
  SystemCallError,
  isErrno,
} from '../../lib/linux/libc.ts'
import type { NamespaceHandle } from './namespace-handle.ts'
import { tcpAddressText, type TcpAddress } from '../../lib/identity/tcp-address.ts'
import { socketAddress } from '../linux/socket-address.ts'
import { NetlinkSocket } from '../netlink/netlink.ts'
import type { NamespaceWindow } from './window.ts'

/** One address on one interface, ready to be bound. */
export interface Binding {
  /** Equal exactly for the same address, port and interface: `fe80::a9fe:a9fe%7:80`. */
  readonly bindingKey: string
  readonly address: IpAddress
  readonly tcpPort: number
  /** 0 for addresses without a zone. */
  readonly interfaceIndex: number
}

/** A listening socket in another namespace. */
export interface OpenedListener {
  readonly bindingKey: string
  /** Listening, non-blocking, closed on exec. */
  readonly fd: number
  /** What people call it: `[::]:9697`, `[fe80::a9fe:a9fe%tap0]:80`. */
  readonly bound: string
  /** Whether the kernel keeps the SYN, and with it the source MAC, of each connection. */
  readonly savesSyn: boolean
}

/** An address that could not be listened on, and why. */
export interface FailedListener {
  readonly bound: string
  /** Absent when it was not one listener that failed. */
  readonly tcpPort?: number
  /** `EADDRINUSE`, or the message of an error that is none of the kernel's. */
  readonly why: string
}

/** What became of each address. */
export interface ListenOutcome {
  readonly opened: readonly OpenedListener[]
  /** Descriptors of inherited sockets that are not wanted; the caller closes them. */
  readonly unwanted: readonly number[]
  readonly failed: readonly FailedListener[]
  /** Of those that were open: the address left the namespace or its interface was replaced. */
  readonly gone: readonly string[]
  /** Wanted, but no interface carries the address (yet), so that it is not listened on. */
  readonly absent: readonly TcpAddress[]
  /** Listened on, but no interface carries the address (yet), as far as that was looked at. */
  readonly unreachable: readonly TcpAddress[]
}

export interface ListenOptions {
  readonly backlog: Count
  /** Binding keys of what is open already and not to be opened again. */
  readonly open: ReadonlySet<string>
  /**
   * Called once, inside the namespace, when something is bound and before any of it is listened on. System calls only, and nothing
   * thrown.
   */
  readonly beforeListening?: () => void
  /** Sockets in this namespace that listen already, from a proxy before this one. */
  readonly inherited?: readonly ListeningDescriptor[]
}

/** A listening socket of the namespace, as the kernel describes it. */
export interface ListeningDescriptor {
  readonly fd: number
  readonly address: IpAddress
  readonly tcpPort: number
  readonly interfaceIndex: number
}

/**
 * Opens what is wanted and not open yet, in one visit to the namespace. Each address stands for itself: trouble with IPv6 never
 * stops IPv4.
 * @throws {SystemCallError} when the namespace cannot be entered
 */
export function listenIn(
  window: NamespaceWindow,
  handle: NamespaceHandle,
  wanted: readonly TcpAddress[],
  options: ListenOptions,
): ListenOutcome {
  return window.run(handle, () => {
    const failed: FailedListener[] = []
    const addresses = addressesWhere(wanted, failed)
    const { bindings, absent } = planBindings(wanted, addresses ?? [], failed)
    const planned = new Set(bindings.map(({ bindingKey }) => bindingKey))
    const { opened, unwanted } = adopt(options, bindings)
    const held = new Set([...options.open, ...opened.map(({ bindingKey }) => bindingKey)])
    const bound: BoundSocket[] = []
    const fail = (binding: Binding, cause: unknown): void => {
      const { tcpPort } = binding
      failed.push({ bound: boundText(binding), tcpPort, why: whyFailed(cause) })
    }
    for (const binding of bindings) {
      if (held.has(binding.bindingKey)) continue
      try {
        bound.push(bindListener(binding))
      } catch (cause) {
        fail(binding, cause)
      }
    }
    if (bound.length > 0) options.beforeListening?.()
    for (const { binding, fd, savesSyn } of bound) {
      try {
        listenSocket(fd, options.backlog)
        const { bindingKey } = binding
        opened.push({ bindingKey, fd, bound: boundText(binding), savesSyn })
      } catch (cause) {
        closeSync(fd)
        fail(binding, cause)
      }
    }
    const gone = [...options.open].filter((bindingKey) => !planned.has(bindingKey))
    const unreachable = addresses === undefined ? [] : unreachableOf(wanted, addresses)
    return { opened, unwanted, failed, gone, absent, unreachable }
  })
}

/** Keeps of what was inherited whatever would be opened now, and nothing else. */
function adopt(
  { inherited = [], open }: ListenOptions,
  bindings: readonly Binding[],
): { opened: OpenedListener[]; unwanted: number[] } {
  const opened: OpenedListener[] = []
  const unwanted: number[] = []
  const taken = new Set(open)
  for (const socket of inherited) {
    const binding = bindings.find((one) => !taken.has(one.bindingKey) && isBoundAs(socket, one))
    if (binding === undefined) {
      unwanted.push(socket.fd)
      continue
    }
    const { bindingKey } = binding
    taken.add(bindingKey)
    sendAtOnce(socket.fd)
    reportIngress(socket.fd)
    const savesSyn = saveSyn(socket.fd)
    opened.push({ bindingKey, fd: socket.fd, bound: boundText(binding), savesSyn })
  }
  return { opened, unwanted }
}

function isBoundAs(socket: ListeningDescriptor, binding: Binding): boolean {
  const isAddress =
    socket.address === binding.address ||
    // Where there is no IPv6, every address means every one of IPv4.
    (socket.address === anyIpv4 && binding.address === '::')
  const isZone = socket.interfaceIndex === binding.interfaceIndex
  return isAddress && isZone && socket.tcpPort === binding.tcpPort
}

function unreachableOf(
  wanted: readonly TcpAddress[],
  addresses: readonly LinkAddress[],
): readonly TcpAddress[] {
  const carried = new Set(addresses.map(({ address }) => address))
  return wanted.filter(
    ({ address }) =>
      !isLinkLocalIpv6(address) && !isEverywhere.has(address) && !carried.has(address),
  )
}

const isEverywhere: ReadonlySet<string> = new Set(['::', '0.0.0.0', '::1', '127.0.0.1'])

/**
 * Netlink is queried only when a link-local address is wanted; most namespaces have none.
 * @returns `undefined` when it was not queried
 */
function addressesWhere(
  wanted: readonly TcpAddress[],
  failed: FailedListener[],
): readonly LinkAddress[] | undefined {
  if (!wanted.some(({ address }) => isLinkLocalIpv6(address))) return undefined
  try {
    const socket = new NetlinkSocket()
    try {
      return listAddresses(socket)
    } finally {
      socket.close()
    }
  } catch (cause) {
    failed.push({ bound: 'link-local addresses', why: whyFailed(cause) })
    return undefined
  }
}

function planBindings(
  wanted: readonly TcpAddress[],
  addresses: readonly LinkAddress[],
  failed: FailedListener[],
): { bindings: Binding[]; absent: TcpAddress[] } {
  const bindings: Binding[] = []
  const absent: TcpAddress[] = []
  for (const want of wanted) {
    if (!isLinkLocalIpv6(want.address)) {
      bindings.push(bindingOf(want, 0))
      continue
    }
    const carriers = interfacesWith(want, addresses)
    if (carriers.length === 0) absent.push(want)
    for (const { linkIndex, isDuplicate } of carriers) {
      const binding = bindingOf(want, linkIndex)
      // It belongs to a guest, and is not listened on.
      if (isDuplicate) failed.push({ bound: boundText(binding), why: duplicateAddress })
      else bindings.push(binding)
    }
  }
  return { bindings, absent }
}

const duplicateAddress =
  'duplicate address detection found another machine with it (the others are served; remove it there, then delete and add it here, since the kernel does not try again)'

function interfacesWith(
  want: TcpAddress,
  addresses: readonly LinkAddress[],
): readonly LinkAddress[] {
  const isWanted =
    want.interface === undefined ? () => true : isIndex(interfaceIndexOf(want.interface))
  return addresses.filter(
    ({ address, linkIndex }) => address === want.address && isWanted(linkIndex),
  )
}

function isIndex(wanted: number | undefined): (index: number) => boolean {
  return (index) => index === wanted
}

function bindingOf(want: TcpAddress, interfaceIndex: number): Binding {
  const { address, tcpPort } = want
  const zone = interfaceIndex === 0 ? '' : `%${interfaceIndex}`
  return { bindingKey: `${address}${zone}:${tcpPort}`, address, tcpPort, interfaceIndex }
}

interface BoundSocket {
  readonly binding: Binding
  readonly fd: number
  readonly savesSyn: boolean
}

function bindListener(binding: Binding): BoundSocket {
  const { family, bytes } = socketAddress(binding.address, binding.tcpPort, binding.interfaceIndex)
  let fd: number
  try {
    fd = openSocket(family, linux.SOCK_STREAM | linux.SOCK_NONBLOCK)
  } catch (cause) {
    if (binding.address === '::' && isErrno(cause, 'EAFNOSUPPORT')) {
      return bindListener({ ...binding, address: anyIpv4 })
    }
    throw cause
  }
  try {
    const savesSyn = setOptions(fd, binding.address)
    bindSocket(fd, bytes)
    return { binding, fd, savesSyn }
  } catch (cause) {
    closeSync(fd)
    throw cause
  }
}

const anyIpv4 = '0.0.0.0' as IpAddress

/** @returns whether the SYN is kept */
function setOptions(fd: number, address: IpAddress): boolean {
  setSocketOption(fd, linux.SOL_SOCKET, linux.SO_REUSEADDR, 1)
  sendAtOnce(fd)
  reportIngress(fd)
  if (isIpv6(address)) {
    setSocketOption(fd, linux.IPPROTO_IPV6, linux.IPV6_V6ONLY, address === '::' ? 0 : 1)
    // The address may still be tentative, and IPv4 addresses come and go with the DHCP agent.
    setSocketOption(fd, linux.IPPROTO_IPV6, linux.IPV6_FREEBIND, 1)
  } else {
    setSocketOption(fd, linux.IPPROTO_IP, linux.IP_FREEBIND, 1)
  }
  return saveSyn(fd)
}

/** Connections take it over from the socket that accepts them, which saves a call for each. */
function sendAtOnce(fd: number): void {
  setSocketOption(fd, linux.IPPROTO_TCP, linux.TCP_NODELAY, 1)
}

/** Has the kernel keep the first packet of each connection. @returns whether it does */
export function saveSyn(fd: number): boolean {
  try {
    // 2 keeps the link header too. Older kernels know only 1, which holds no MAC.
    setSocketOption(fd, linux.IPPROTO_TCP, linux.TCP_SAVE_SYN, 2)
    return true
  } catch {
    return false
  }
}

function boundText({ address, tcpPort, interfaceIndex }: Binding): string {
  const name =
    interfaceIndex === 0 ? undefined : (interfaceNameOf(interfaceIndex) ?? String(interfaceIndex))
  return tcpAddressText({ address, tcpPort, ...(name !== undefined && { interface: name }) })
}

function whyFailed(cause: unknown): string {
  if (cause instanceof SystemCallError) return cause.errnoName
  return cause instanceof Error ? cause.message : String(cause)
}
