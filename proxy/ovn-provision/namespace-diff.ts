/** What has to be done so that a network's namespace is as it should be? Compares, and does nothing itself. */
import { eui64LinkLocal, isIpv6 } from '../../lib/identity/ip-address.ts'
import { metadataIpv4, metadataIpv6 } from '../../lib/wire/metadata-address.ts'
import type { LinkAddress } from '../netlink/addresses.ts'
import type { Link, LinkChange } from '../netlink/links.ts'
import {
  parsePrefixedAddress,
  type NetworkPlan,
  type PrefixedAddress,
} from './shared/network-plan.ts'

/** What is there of a network on this host. */
export interface ActualNetwork {
  /** The interface of the cable's name in the host's namespace. */
  readonly outside: Link | undefined
  /** The one inside. */
  readonly inside: Link | undefined
  /** Of the one inside. */
  readonly addresses: readonly LinkAddress[]
}

/** What is to be done, in this order: the cable first, then its ends, then addresses. */
export interface NetworkChanges {
  /** Ends of something that is no cable between host and namespace. */
  readonly removeOutside: boolean
  readonly removeInside: boolean
  readonly makePair: boolean
  readonly outside: LinkChange | undefined
  readonly inside: LinkChange | undefined
  readonly remove: readonly PrefixedAddress[]
  /** IPv4 first, so that trouble with IPv6 comes too late for it. */
  readonly add: readonly PrefixedAddress[]
}

const hostPrefix = { ipv4: 32, ipv6: 128, link: 64 } as const

/**
 * The addresses inside: the metadata port's in the subnets in use, the metadata address itself, and for IPv6 the one on the link
 * and that which the MAC makes. @see neutron/agent/ovn/metadata/agent.py
 */
export function wantedAddresses(plan: NetworkPlan, hostHasIpv6: boolean): PrefixedAddress[] {
  const own = plan.addresses.map(parsePrefixedAddress).filter((one) => one !== undefined)
  const wanted = [...own, { address: metadataIpv4, prefix: hostPrefix.ipv4 }]
  if (!plan.ipv6 || !hostHasIpv6) return wanted
  return [
    ...wanted,
    { address: metadataIpv6, prefix: hostPrefix.ipv6 },
    { address: eui64LinkLocal(plan.macAddress), prefix: hostPrefix.link },
  ]
}

export interface DiffOptions {
  readonly hostHasIpv6: boolean
  /** Gives up addresses that detection found to be another machine's, and takes them anew: the kernel does not try again. */
  readonly retriesDuplicates: boolean
}

/** @returns the changes, or why nothing may be touched: what bears one of the names is something else */
export function diffNetwork(
  plan: NetworkPlan,
  actual: ActualNetwork,
  options: DiffOptions,
): NetworkChanges | { readonly refusal: string } {
  const { outside, inside } = actual
  const { mtu } = plan
  for (const link of [outside, inside]) {
    if (link !== undefined && link.kind !== 'veth') {
      return { refusal: `the interface "${link.name}" is ${link.kind ?? 'a device'}, not a veth` }
    }
  }
  const makePair = !isPair(outside, inside)
  const wanted = wantedAddresses(plan, options.hostHasIpv6)
  const there = makePair ? [] : actual.addresses
  const isStale = (one: LinkAddress): boolean => one.isDuplicate && options.retriesDuplicates
  const missing = wanted.filter((one) => !there.some((has) => isSame(has, one) && !isStale(has)))
  return {
    removeOutside: makePair && outside !== undefined,
    removeInside: makePair && inside !== undefined,
    makePair,
    outside: linkChange(makePair ? undefined : outside, mtu === undefined ? {} : { mtu }),
    inside: linkChange(makePair ? undefined : inside, plan),
    remove: there.filter((has) => isStale(has) || !wanted.some((one) => isSame(has, one))),
    add: [...missing.filter(isIpv4), ...missing.filter((one) => !isIpv4(one))],
  }
}

/** True when nothing is to be done. */
export function isUnchanged(changes: NetworkChanges): boolean {
  const { makePair, outside, inside, remove, add } = changes
  return (
    !makePair && outside === undefined && inside === undefined && remove.length + add.length === 0
  )
}

/** Each gives the other end by its number in the other's namespace. */
function isPair(outside: Link | undefined, inside: Link | undefined): boolean {
  if (outside === undefined || inside === undefined) return false
  return outside.peerIndex === inside.index && inside.peerIndex === outside.index
}

/** A new one was made with MAC and MTU already. */
function linkChange(
  link: Link | undefined,
  { macAddress, mtu }: Pick<LinkChange, 'macAddress' | 'mtu'>,
): LinkChange | undefined {
  if (link === undefined) return { withoutOwnAddress: true, up: true }
  const isOther = macAddress !== undefined && link.macAddress !== macAddress
  const change: LinkChange = {
    ...(isOther && { macAddress }),
    ...(mtu !== undefined && link.mtu !== mtu && { mtu }),
    ...(!link.isUp && { withoutOwnAddress: true, up: true }),
  }
  return Object.keys(change).length === 0 ? undefined : change
}

function isSame(one: PrefixedAddress, other: PrefixedAddress): boolean {
  return one.address === other.address && one.prefix === other.prefix
}

function isIpv4({ address }: PrefixedAddress): boolean {
  return !isIpv6(address)
}
