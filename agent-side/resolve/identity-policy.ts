/** Given the ports that could be meant, which one is it? A pure decision: no query starts here. */
import type { NetworkId } from '../../lib/identity/ids.ts'
import { isLinkLocalIpv6, macFromEui64 } from '../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import type { Port, PortQuery } from '../ports/directory/port-directory.ts'
import { Deliberation } from './deliberation.ts'
import { networksOfPlace, type Place } from './place.ts'
import type { LookupKey, Verdict } from './resolution.ts'
import { routedByAddress, type RoutedRules } from './routed-policy.ts'

/**
 * What the source MAC of a connection counts for.
 * - `off`: nothing; the address decides, as in Neutron's agent.
 * - `prefer`: it must agree with the address when a port on the link has it; a MAC that no port has means a routed guest.
 * - `verify`: a MAC that no port on the link has is refused as well, and so is a request of our own proxy without a MAC.
 */
export type SourceMacPolicy = 'off' | 'prefer' | 'verify'
export const sourceMacPolicies: readonly SourceMacPolicy[] = ['off', 'prefer', 'verify']

/** What an identity is decided by. */
export interface IdentityRules {
  readonly sourceMac: SourceMacPolicy
  /** @default by address, nothing behind any network */
  readonly routed?: RoutedRules | undefined
}

interface Macs {
  readonly source: MacAddress | undefined
  readonly eui64: MacAddress | undefined
  readonly isLinkLocal: boolean
}

function macsOf(policy: SourceMacPolicy, key: LookupKey): Macs {
  const isLinkLocal = isLinkLocalIpv6(key.sourceIp)
  return {
    source: policy === 'off' ? undefined : key.sourceMac,
    eui64: isLinkLocal ? macFromEui64(key.sourceIp) : undefined,
    isLinkLocal,
  }
}

/**
 * The queries whose answers together hold every port that {@link decideIdentity} has to see. Usually one; two for a
 * link-local address that holds another MAC than the frame came from.
 */
export function portQueries(
  policy: SourceMacPolicy,
  key: LookupKey,
  networkIds: readonly NetworkId[],
): readonly PortQuery[] {
  const { source, eui64 } = macsOf(policy, key)
  const macAddress = source ?? eui64
  const first: PortQuery = {
    networkIds,
    fixedIp: key.sourceIp,
    ...(macAddress !== undefined && { macAddress }),
  }
  return eui64 === undefined || eui64 === macAddress
    ? [first]
    : [first, { networkIds, macAddress: eui64 }]
}

function isSamePort(one: Port, other: Port): boolean {
  return (
    one.portId === other.portId &&
    one.networkId === other.networkId &&
    one.macAddress === other.macAddress &&
    one.instanceId === other.instanceId &&
    one.projectId === other.projectId
  )
}

/** Each port once. Two versions of one port that name different instances both stay: which is true is unknown. */
function distinct(ports: readonly Port[]): readonly Port[] {
  if (ports.length < 2) return ports
  return ports.filter(
    (port, index) => ports.findIndex((earlier) => isSamePort(earlier, port)) === index,
  )
}

/**
 * Decides who a lookup key stands for. Ports outside the place, or with neither the address nor a MAC in question,
 * are not considered, whatever the directory gave.
 *
 * Several ports are never a choice. A link-local address is no fixed IP and cannot have been routed, so the MAC decides.
 */
export function decideIdentity(
  rules: IdentityRules,
  key: LookupKey,
  place: Place,
  candidates: readonly Port[],
): Verdict {
  const macs = macsOf(rules.sourceMac, key)
  const macAddress = macs.source ?? macs.eui64
  const known = distinct(candidates)
  const onLink = known.filter((port) => place.onLink.includes(port.networkId))
  const owners = known.filter((port) => port.fixedIps.includes(key.sourceIp))
  const byMac =
    macAddress === undefined ? [] : onLink.filter((port) => port.macAddress === macAddress)
  const here = new Deliberation(key, rules.routed ?? routedByAddress, place, {
    networkIds: networksOfPlace(place),
    byAddress: owners.filter((port) => place.onLink.includes(port.networkId)),
    byMac,
    macAddress,
    elsewhere: owners.filter((port) => place.elsewhere.includes(port.networkId)),
    behind: owners.filter((port) => place.behind.includes(port.networkId)),
  })

  if (networksOfPlace(place).length === 0) {
    return here.none('no_network', 'The router has no interface on any network.')
  }
  if (place.refusal === 'ingress_port_unknown') {
    const why = 'The router has no port that the connection could have come in through.'
    return here.none(place.refusal, why)
  }
  if (place.refusal !== undefined) {
    const why = 'The connection came in through an interface that belongs to no port of the router.'
    return here.none(place.refusal, why)
  }
  if (!macs.isLinkLocal) return decideByAddress(rules.sourceMac, macs, here)
  const others = onLink.filter(
    (port) => port.macAddress === macs.eui64 && port.macAddress !== macAddress,
  )
  return decideLinkLocal(rules.sourceMac, macs, others, here)
}

function decideByAddress(policy: SourceMacPolicy, macs: Macs, here: Deliberation): Verdict {
  const { byAddress, byMac } = here
  if (macs.source === undefined) {
    return byAddress.length > 0
      ? here.oneOf(byAddress, 'address', 'No source MAC is known; the address decides.')
      : here.fromBehind('No source MAC is known.')
  }
  if (byMac.length === 0) {
    if (policy === 'verify') {
      return here.none('source_mac_unknown', 'No port on the link has the source MAC.')
    }
    return byAddress.length > 0
      ? here.routed(byAddress, 'No port on the link has the source MAC.')
      : here.fromBehind('No port on the link has the source MAC.')
  }
  const agreeing = byMac.filter((port) => byAddress.includes(port))
  if (agreeing.length > 0) {
    return here.oneOf(agreeing, 'address_and_mac', 'Address and source MAC name the same port.')
  }
  const own = here.ofOneInstance([...byAddress, ...here.elsewhere])
  if (own !== undefined) return own
  return byAddress.length > 0
    ? here.conflict('The source MAC belongs to one port and the address to another.')
    : here.fromBehind('The source MAC belongs to a port, which has other addresses than this one.')
}

function decideLinkLocal(
  policy: SourceMacPolicy,
  macs: Macs,
  ofEui64: readonly Port[],
  here: Deliberation,
): Verdict {
  const { byAddress, byMac } = here
  if (macs.source === undefined && macs.eui64 === undefined) {
    return byAddress.length > 0
      ? here.oneOf(byAddress, 'address', 'The link-local address is a fixed IP.')
      : here.none(
          'link_local_without_mac',
          'The link-local address holds no MAC, and no source MAC is known.',
        )
  }
  if (ofEui64.length > 0) {
    return (
      here.ofOneInstance(ofEui64) ??
      here.conflict('The link-local address holds the MAC of another port than the source MAC.')
    )
  }
  const agreeing = byMac.filter((port) => byAddress.includes(port))
  if (byAddress.length > 0 && agreeing.length === 0) {
    if (policy === 'verify' && byMac.length === 0) {
      return here.none('source_mac_unknown', 'No port on the link has the source MAC.')
    }
    return (
      here.ofOneInstance(byAddress) ??
      here.conflict('The link-local address is a fixed IP of a port with another MAC.')
    )
  }
  if (byMac.length === 0 && policy === 'verify' && macs.source !== undefined) {
    return here.none('source_mac_unknown', 'No port on the link has the source MAC.')
  }
  const remaining = agreeing.length > 0 ? agreeing : byMac
  return macs.source === undefined
    ? here.oneOf(remaining, 'eui64', 'The MAC inside the link-local address decides.')
    : here.oneOf(remaining, 'mac', 'The source MAC decides for a link-local address.')
}
