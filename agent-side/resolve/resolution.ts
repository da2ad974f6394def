/** Which instance does an address inside a scope belong to, and on what grounds? */
import type { MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { InstanceId, NetworkId, PortId, ProjectId } from '../../lib/identity/ids.ts'
import type { IngressPort } from '../../lib/identity/ingress-port.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import { scopeText, type Scope } from '../../lib/identity/scope.ts'
import type { Freshness, Port } from '../ports/directory/port-directory.ts'

/** All that is known of where a request came from. Nothing less may be the key of a cache. */
export interface LookupKey {
  readonly scope: Scope
  readonly sourceIp: IpAddress
  /** From the SYN of the guest's connection; absent behind foreign proxies and under SYN cookies. */
  readonly sourceMac?: MacAddress | undefined
  /** With a router only; absent behind foreign and older proxies. */
  readonly ingressPort?: IngressPort | undefined
}

/** One text per lookup key: `router/ID 10.0.0.10 fa:16:3e:00:00:10 4d2a7c11-9e`, with `-` for what is not known. */
export function lookupKeyText(key: LookupKey): string {
  const { scope, sourceIp, sourceMac = '-', ingressPort = '-' } = key
  // As `scopeText` writes it, but in one piece: texts made of texts are dear to look up by.
  return scope.kind === 'router'
    ? `router/${scope.routerId} ${sourceIp} ${sourceMac} ${ingressPort}`
    : `network/${scope.networkId} ${sourceIp} ${sourceMac}`
}

/** One text per address of a scope and of an ingress: the lookup key without its MAC. */
export function addressText(key: LookupKey): string {
  return `${scopeText(key.scope)} ${key.sourceIp} ${key.ingressPort ?? '-'}`
}

/** What is sent to the compute metadata API. One object per verdict, so that what is made from it can be kept beside it. */
export interface Identity {
  readonly instanceId: InstanceId
  readonly projectId: ProjectId
  readonly portId: PortId
  readonly networkId: NetworkId
  readonly sourceIp: IpAddress
  /** Of the port, for the shield. */
  readonly networkTags?: Port['networkTags']
}

/**
 * What agreed when an identity was found.
 * - `address_and_mac`: address and source MAC name the same port.
 * - `mac`: a link-local address; the source MAC names the port.
 * - `eui64`: a link-local address; the MAC inside it names the port.
 * - `address`: the address alone, since there was no source MAC.
 * - `same_instance`: the source MAC names a port on the link, the address another port of that port's instance.
 * - `routed`: the address alone, for a guest that is on the link with no port of its own, as behind another VM.
 */
export type Basis = 'address_and_mac' | 'mac' | 'eui64' | 'same_instance' | 'address' | 'routed'

/** What a verdict rests on. For the operator: it names ports of the scope, whoever owns them. */
export interface Evidence {
  /** All that it rests on, those it was not looked for in for the sake of the ingress included. */
  readonly networkIds: readonly NetworkId[]
  /** The network it came in through; absent where that is not known. */
  readonly ingressNetworkId?: NetworkId | undefined
  /** Ports with the source address, where the request may have come from. */
  readonly byAddress: readonly Port[]
  /** Ports with the MAC that was looked for. */
  readonly byMac: readonly Port[]
  /** Ports with the source address on other networks of the router, or on networks behind. */
  readonly further?: readonly Port[] | undefined
  /** The MAC that was looked for: the source MAC, or the one inside an EUI-64 address. */
  readonly macAddress?: MacAddress | undefined
  /** One sentence: why this verdict and no other. */
  readonly why: string
}

/** What the policy made of one set of candidates. */
export type Verdict =
  | {
      readonly kind: 'found'
      readonly identity: Identity
      readonly basis: Basis
      readonly evidence: Evidence
    }
  | {
      readonly kind: 'none'
      readonly reason:
        | 'no_network'
        | 'no_port'
        | 'port_without_instance'
        | 'port_without_project'
        | 'source_mac_unknown'
        | 'link_local_without_mac'
        | 'ingress_port_unknown'
        | 'ingress_mismatch'
        | 'routed_refused'
      readonly evidence: Evidence
    }
  | { readonly kind: 'ambiguous'; readonly reason: 'ambiguous_port'; readonly evidence: Evidence }
  | {
      readonly kind: 'conflict'
      readonly reason: 'source_mac_conflict'
      readonly evidence: Evidence
    }

/** A verdict and its age. */
export type Resolution = Verdict & {
  /** When it was looked up; ages are counted from here. */
  readonly asOf: MonotonicMilliseconds
  /** Until when it may be remembered where the source does not report changes. */
  readonly until?: MonotonicMilliseconds
  /** How the port directory was queried. */
  readonly freshness: Freshness
}
