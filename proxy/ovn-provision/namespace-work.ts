/** How does a network's namespace come to be, and go? System calls only; each call is the work for one network. */
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import type { NetworkId } from '../../lib/identity/ids.ts'
import { isIpv6 } from '../../lib/identity/ip-address.ts'
import { addAddress, listAddresses, removeAddress } from '../netlink/addresses.ts'
import { fillChecksums } from '../../lib/linux/checksums.ts'
import { SystemCallError } from '../../lib/linux/libc.ts'
import {
  deleteLink,
  deleteLinks,
  findLink,
  listLinks,
  makeVethPair,
  setLink,
  type Link,
} from '../netlink/links.ts'
import {
  deleteNamedNamespace,
  makeNamedNamespace,
  setKernelParameter,
} from '../netns/named-namespace.ts'
import {
  namespaceKeyOf,
  openNamespace,
  type NamespaceHandle,
  type NamespaceKey,
} from '../netns/namespace-handle.ts'
import { NetlinkSocket } from '../netlink/netlink.ts'
import type { NamespaceWindow } from '../netns/window.ts'
import {
  diffNetwork,
  isUnchanged,
  type ActualNetwork,
  type DiffOptions,
  type NetworkChanges,
} from './namespace-diff.ts'
import { linksOfNetwork, netnsOfNetwork, type NetworkPlan } from './shared/network-plan.ts'

/** Where the work is done. */
export interface WorkPlace {
  readonly window: NamespaceWindow
  /** `/run/netns` */
  readonly folder: string
}

/** What became of a network. */
export interface Provisioned {
  readonly key: NamespaceKey
  readonly isChanged: boolean
  /** What does not work beside IPv4. */
  readonly trouble?: string
  /** Whether that is not known yet: the kernel looks for other machines with one of the addresses. */
  readonly isDetecting: boolean
}

/** A name on which nothing is mounted: another program is making it this moment, or it is broken. */
export class UnmountedNameError extends Error {
  override readonly name = 'UnmountedNameError'
}

/**
 * Makes a network's namespace what the plan holds, whatever is there already.
 * @throws UnmountedNameError, Error or {SystemCallError} with what is in the way
 */
export function provisionNetwork(
  { window, folder }: WorkPlace,
  plan: NetworkPlan,
  options: DiffOptions,
): Provisioned {
  const path = join(folder, netnsOfNetwork(plan.networkId))
  const isNew = !isThere(path)
  if (isNew) makeNamedNamespace(window, folder, path)
  refuseLink(path)
  if (namespaceKeyOf(path) === undefined) {
    throw new UnmountedNameError(`nothing is mounted on "${path}"`)
  }
  return inNamespace(window, path, (handle, home) => {
    const actual = look(window, home, handle, plan.networkId)
    const changes = diffNetwork(plan, actual, options)
    if ('refusal' in changes) throw new Error(changes.refusal)
    if (plan.fillsChecksums && !changes.makePair) {
      window.run(handle, () => fillChecksums(linksOfNetwork(plan.networkId).inside))
    }
    const isChanged = isNew || !isUnchanged(changes)
    const failures = isUnchanged(changes) ? [] : carryOut(window, home, handle, plan, changes)
    const duplicates = actual.addresses.filter(({ isDuplicate }) => isDuplicate)
    const troubles = [
      ...failures,
      ...duplicates.map(({ address }) => `${address}: another machine on the network has it`),
    ]
    return {
      key: handle.key,
      isChanged,
      ...(troubles.length > 0 && { trouble: troubles.join(', ') }),
      isDetecting: actual.addresses.some((one) => one.isTentative && !one.isDuplicate),
    }
  })
}

/**
 * Takes a network's cable away, and its namespace when nothing else is in it.
 * @returns what is left in it
 * @throws Error or {SystemCallError} with what is in the way
 */
export function removeNetwork(
  { window, folder }: WorkPlace,
  networkId: NetworkId,
): readonly string[] {
  const path = join(folder, netnsOfNetwork(networkId))
  if (!isThere(path)) {
    withSocket((home) => removeOutside(home, networkId))
    return []
  }
  refuseLink(path)
  if (namespaceKeyOf(path) === undefined) {
    withSocket((home) => removeOutside(home, networkId))
    deleteNamedNamespace(path)
    return []
  }
  const left = inNamespace(window, path, (handle, home) => {
    const others = window.run(handle, () => withSocket((socket) => removeInside(socket, networkId)))
    removeOutside(home, networkId)
    return others
  })
  if (left.length === 0) deleteNamedNamespace(path)
  return left
}

/**
 * Takes the cables of many networks away at once; what {@link removeNetwork} has to do afterwards takes no time.
 * @throws {SystemCallError}
 */
export function cutCables({ folder }: WorkPlace, networkIds: readonly NetworkId[]): void {
  withSocket((home) => {
    const links = networkIds.flatMap((networkId) => {
      const path = join(folder, netnsOfNetwork(networkId))
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true) return []
      const link = findLink(home, linksOfNetwork(networkId).outside)
      return link?.kind === 'veth' ? [link.index] : []
    })
    deleteLinks(home, links)
  })
}

function inNamespace<Value>(
  window: NamespaceWindow,
  path: string,
  work: (handle: NamespaceHandle, home: NetlinkSocket) => Value,
): Value {
  const handle = openNamespace(path)
  try {
    if (handle.key === window.homeKey) throw new Error('it is the namespace of the proxy itself')
    return withSocket((home) => work(handle, home))
  } finally {
    handle.close()
  }
}

function withSocket<Value>(work: (socket: NetlinkSocket) => Value): Value {
  const socket = new NetlinkSocket()
  try {
    return work(socket)
  } finally {
    socket.close()
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

/** What it leads to is not ours. */
function refuseLink(path: string): void {
  if (lstatSync(path).isSymbolicLink()) throw new Error(`"${path}" is a link to elsewhere`)
}

function look(
  window: NamespaceWindow,
  home: NetlinkSocket,
  handle: NamespaceHandle,
  networkId: NetworkId,
): ActualNetwork {
  const names = linksOfNetwork(networkId)
  const outside = findLink(home, names.outside)
  return window.run(handle, () =>
    withSocket((socket) => {
      const inside = findLink(socket, names.inside)
      const addresses =
        inside === undefined
          ? []
          : listAddresses(socket).filter(({ linkIndex }) => linkIndex === inside.index)
      return { outside, inside, addresses }
    }),
  )
}

/** @returns what could not be done and hinders nothing but IPv6 */
function carryOut(
  window: NamespaceWindow,
  home: NetlinkSocket,
  handle: NamespaceHandle,
  plan: NetworkPlan,
  changes: NetworkChanges,
): readonly string[] {
  const names = linksOfNetwork(plan.networkId)
  const { macAddress, mtu, fillsChecksums } = plan
  if (changes.removeOutside) deleteFound(home, names.outside)
  if (changes.makePair) {
    if (changes.removeInside) {
      window.run(handle, () => withSocket((socket) => deleteFound(socket, names.inside)))
    }
    const size = mtu !== undefined && { mtu }
    const there = { name: names.inside, macAddress, ...size, namespaceFd: handle.fd }
    makeVethPair(home, { name: names.outside, ...size }, there)
  }
  const failures = window.run(handle, () =>
    withSocket((socket) => {
      if (changes.makePair) {
        // Guests share the link; none of them is to give addresses or routes to the namespace.
        setKernelParameter(`net/ipv6/conf/${names.inside}/accept_ra`, '0')
        if (fillsChecksums) fillChecksums(names.inside)
      }
      return changeInside(socket, names.inside, changes)
    }),
  )
  if (changes.outside !== undefined) {
    const outside = findLink(home, names.outside)
    if (outside === undefined) throw new Error(`the interface "${names.outside}" is gone`)
    setLink(home, outside.index, changes.outside)
  }
  return failures
}

function changeInside(socket: NetlinkSocket, name: string, changes: NetworkChanges): string[] {
  const link = findLink(socket, name)
  if (link === undefined) throw new Error(`the interface "${name}" is gone`)
  if (changes.inside !== undefined) setLink(socket, link.index, changes.inside)
  for (const { address, prefix } of changes.remove) {
    removeAddress(socket, link.index, address, prefix)
  }
  const failures: string[] = []
  for (const { address, prefix } of changes.add) {
    try {
      addAddress(socket, link.index, address, prefix)
    } catch (cause) {
      if (!(cause instanceof SystemCallError) || !isIpv6(address)) throw cause
      failures.push(`${address}: ${cause.errnoName}`)
    }
  }
  return failures
}

function deleteFound(socket: NetlinkSocket, name: string): void {
  const link = findLink(socket, name)
  if (link?.kind === 'veth') deleteLink(socket, link.index)
}

function removeOutside(home: NetlinkSocket, networkId: NetworkId): void {
  deleteFound(home, linksOfNetwork(networkId).outside)
}

/** Every namespace has loopback, and the kernel may put tunnels of its own into it. @see ip-link(8), net.core.fb_tunnels_only_for_init_net */
const ownOfKernel: ReadonlySet<string> = new Set(
  'lo tunl0 gre0 gretap0 erspan0 sit0 ip6tnl0 ip6gre0 ip_vti0 ip6_vti0'.split(' '),
)

/** @returns what else is there */
function removeInside(socket: NetlinkSocket, networkId: NetworkId): string[] {
  const { inside } = linksOfNetwork(networkId)
  const links = listLinks(socket)
  const own = links.find((link: Link) => link.name === inside && link.kind === 'veth')
  if (own !== undefined) deleteLink(socket, own.index)
  return links.filter((link) => link !== own && !ownOfKernel.has(link.name)).map(({ name }) => name)
}
