/** Given the ports that could be meant, which one is it? A pure decision: no question is asked from here. */
import type { NetworkId } from '../../lib/ids.ts'
import { isLinkLocalIpv6, macFromEui64 } from '../../lib/ip-address.ts'
import type { MacAddress } from '../../lib/mac-address.ts'
import type { Port, PortQuery } from '../ports/port-directory.ts'
import type { Basis, Evidence, LookupKey, Verdict } from './resolution.ts'

/**
 * What the source MAC of a connection counts for.
 * - `off`: nothing; the address decides, as in Neutron's agent.
 * - `prefer`: it must agree with the address when a port of the scope has it; a MAC that no port has means a routed guest.
 * - `verify`: a MAC that no port of the scope has is refused as well.
 */
export type SourceMacPolicy = 'off' | 'prefer' | 'verify'
export const sourceMacPolicies: readonly SourceMacPolicy[] = ['off', 'prefer', 'verify']

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
 * The questions whose answers together hold every port that {@link decideIdentity} has to see. Usually one; two for a
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

/** Each port once. Two versions of one port that name different instances both stay: nobody can say which is true. */
function distinct(ports: readonly Port[]): readonly Port[] {
  if (ports.length < 2) return ports
  return ports.filter(
    (port, index) => ports.findIndex((earlier) => isSamePort(earlier, port)) === index,
  )
}

/**
 * Decides who a lookup key stands for. Ports outside the networks, or with neither the address nor a MAC in question,
 * are not considered, whatever the directory gave.
 *
 * Several ports are never a choice. A link-local address is no fixed IP and cannot have been routed, so the MAC decides.
 */
export function decideIdentity(
  policy: SourceMacPolicy,
  key: LookupKey,
  networkIds: readonly NetworkId[],
  candidates: readonly Port[],
): Verdict {
  const macs = macsOf(policy, key)
  const macAddress = macs.source ?? macs.eui64
  const inScope = distinct(candidates.filter((port) => networkIds.includes(port.networkId)))
  const byAddress = inScope.filter((port) => port.fixedIps.includes(key.sourceIp))
  const byMac =
    macAddress === undefined ? [] : inScope.filter((port) => port.macAddress === macAddress)
  const decision = new Decision(key, { networkIds, byAddress, byMac, macAddress })

  if (networkIds.length === 0) {
    return decision.none('no_network', 'The router has no interface on any network.')
  }
  if (!macs.isLinkLocal) return decideByAddress(policy, macs, decision)
  const otherOwner = inScope.some(
    (port) => port.macAddress === macs.eui64 && port.macAddress !== macAddress,
  )
  return decideLinkLocal(policy, macs, otherOwner, decision)
}

function decideByAddress(policy: SourceMacPolicy, macs: Macs, decision: Decision): Verdict {
  const { byAddress, byMac } = decision
  if (macs.source === undefined) {
    return decision.oneOf(byAddress, 'address', 'No source MAC is known; the address decides.')
  }
  if (byMac.length === 0) {
    return policy === 'verify'
      ? decision.none('source_mac_unknown', 'No port of the scope has the source MAC.')
      : decision.oneOf(
          byAddress,
          'routed',
          'No port of the scope has the source MAC: a routed guest; the address decides.',
        )
  }
  if (byAddress.length === 0) {
    return decision.none(
      'no_port',
      'The source MAC belongs to a port, which has other addresses than this one.',
    )
  }
  const agreeing = byMac.filter((port) => byAddress.includes(port))
  return agreeing.length === 0
    ? decision.conflict('The source MAC belongs to one port and the address to another.')
    : decision.oneOf(agreeing, 'address_and_mac', 'Address and source MAC name the same port.')
}

function decideLinkLocal(
  policy: SourceMacPolicy,
  macs: Macs,
  otherOwner: boolean,
  decision: Decision,
): Verdict {
  const { byAddress, byMac } = decision
  if (macs.source === undefined && macs.eui64 === undefined) {
    return byAddress.length > 0
      ? decision.oneOf(byAddress, 'address', 'The link-local address is a fixed IP.')
      : decision.none(
          'link_local_without_mac',
          'The link-local address holds no MAC, and no source MAC is known.',
        )
  }
  if (otherOwner) {
    return decision.conflict(
      'The link-local address holds the MAC of another port than the source MAC.',
    )
  }
  const agreeing = byMac.filter((port) => byAddress.includes(port))
  if (byAddress.length > 0 && agreeing.length === 0) {
    return policy === 'verify' && byMac.length === 0
      ? decision.none('source_mac_unknown', 'No port of the scope has the source MAC.')
      : decision.conflict('The link-local address is a fixed IP of a port with another MAC.')
  }
  if (byMac.length === 0 && policy === 'verify' && macs.source !== undefined) {
    return decision.none('source_mac_unknown', 'No port of the scope has the source MAC.')
  }
  const remaining = agreeing.length > 0 ? agreeing : byMac
  return macs.source === undefined
    ? decision.oneOf(remaining, 'eui64', 'The MAC inside the link-local address decides.')
    : decision.oneOf(remaining, 'mac', 'The source MAC decides for a link-local address.')
}

/** What every verdict of one decision has in common. */
class Decision {
  readonly byAddress: readonly Port[]
  readonly byMac: readonly Port[]
  readonly #key: LookupKey
  readonly #evidence: Omit<Evidence, 'why'>

  constructor(key: LookupKey, evidence: Omit<Evidence, 'why'>) {
    this.#key = key
    this.#evidence = evidence
    this.byAddress = evidence.byAddress
    this.byMac = evidence.byMac
  }

  none(reason: Extract<Verdict, { kind: 'none' }>['reason'], why: string): Verdict {
    return { kind: 'none', reason, evidence: this.#because(why) }
  }

  conflict(why: string): Verdict {
    return { kind: 'conflict', reason: 'source_mac_conflict', evidence: this.#because(why) }
  }

  oneOf(ports: readonly Port[], basis: Basis, why: string): Verdict {
    const [port] = ports
    if (port === undefined) return this.none('no_port', `${why} No port of the scope matches.`)
    if (ports.length > 1) {
      const evidence = this.#because(`${why} ${ports.length} ports match.`)
      return { kind: 'ambiguous', reason: 'ambiguous_port', evidence }
    }
    const { instanceId, projectId, portId, networkId } = port
    if (instanceId === undefined) {
      return this.none('port_without_instance', `${why} The port belongs to no instance.`)
    }
    if (projectId === undefined) {
      return this.none('port_without_project', `${why} The port does not say whose it is.`)
    }
    return {
      kind: 'found',
      identity: { instanceId, projectId, portId, networkId, sourceIp: this.#key.sourceIp },
      basis,
      evidence: this.#because(why),
    }
  }

  #because(why: string): Evidence {
    const { networkIds, byAddress, byMac, macAddress } = this.#evidence
    return { networkIds, byAddress, byMac, macAddress, why }
  }
}
