import type { NetworkId } from '../../lib/identity/ids.ts'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import type { Port } from '../ports/directory/port-directory.ts'
import type { Place } from './place.ts'
import type { Basis, Evidence, LookupKey, Verdict } from './resolution.ts'
import type { RoutedRules } from './routed-policy.ts'

/** The ports that a decision looks at. */
export interface Considered {
  readonly networkIds: readonly NetworkId[]
  /** On the link. */
  readonly byAddress: readonly Port[]
  /** On the link. */
  readonly byMac: readonly Port[]
  readonly macAddress: MacAddress | undefined
  /** With the address, on networks of the router that the request did not come in through. */
  readonly elsewhere: readonly Port[]
  /** With the address, on networks that are declared behind the one on the link. */
  readonly behind: readonly Port[]
}

type NoneReason = Extract<Verdict, { kind: 'none' }>['reason']

/** One decision: what was considered, and the verdicts that can be made of it. */
export class Deliberation {
  readonly byAddress: readonly Port[]
  readonly byMac: readonly Port[]
  readonly elsewhere: readonly Port[]
  readonly #key: LookupKey
  readonly #rules: RoutedRules
  readonly #place: Place
  readonly #considered: Considered

  constructor(key: LookupKey, rules: RoutedRules, place: Place, considered: Considered) {
    this.#key = key
    this.#rules = rules
    this.#place = place
    this.#considered = considered
    this.byAddress = considered.byAddress
    this.byMac = considered.byMac
    this.elsewhere = considered.elsewhere
  }

  none(reason: NoneReason, why: string): Verdict {
    return { kind: 'none', reason, evidence: this.#because(why) }
  }

  conflict(why: string): Verdict {
    return { kind: 'conflict', reason: 'source_mac_conflict', evidence: this.#because(why) }
  }

  oneOf(ports: readonly Port[], basis: Basis, why: string): Verdict {
    const [port] = ports
    if (port === undefined) return this.none('no_port', `${why} No port matches.`)
    if (ports.length > 1) {
      const evidence = this.#because(`${why} ${ports.length} ports match.`)
      return { kind: 'ambiguous', reason: 'ambiguous_port', evidence }
    }
    const { instanceId, projectId, portId, networkId, networkTags } = port
    if (instanceId === undefined) {
      return this.none('port_without_instance', `${why} The port belongs to no instance.`)
    }
    if (projectId === undefined) {
      return this.none('port_without_project', `${why} The port names no project.`)
    }
    return {
      kind: 'found',
      identity: {
        instanceId,
        projectId,
        portId,
        networkId,
        sourceIp: this.#key.sourceIp,
        ...(networkTags !== undefined && { networkTags }),
      },
      basis,
      evidence: this.#because(why),
    }
  }

  /** A guest of the network on the link whose frame another machine sent, if the network's rules allow that. */
  routed(ports: readonly Port[], why: string): Verdict {
    const isRefused = ports.some(({ networkId }) => this.#rules.of(networkId).routed === 'refuse')
    return isRefused
      ? this.none('routed_refused', `${why} Routed guests of the network are refused.`)
      : this.oneOf(ports, 'routed', `${why} A routed guest: the address decides.`)
  }

  /** No port on the link has the address. A guest further away may have it, if that was declared. */
  fromBehind(why: string): Verdict {
    const { behind, elsewhere } = this.#considered
    const [ingress] = this.#place.onLink
    if (behind.length > 0 && ingress !== undefined) {
      return this.#rules.of(ingress).routed === 'refuse'
        ? this.none('routed_refused', `${why} Routed guests of the network are refused.`)
        : this.oneOf(behind, 'routed', `${why} The address is of a network declared behind.`)
    }
    return elsewhere.length > 0
      ? this.none(
          'ingress_mismatch',
          `${why} The address is of another network of the router, and the connection did not come in through that.`,
        )
      : this.none('no_port', `${why} No port matches.`)
  }

  /**
   * The instance that has the port on the link which the MAC names, and one of these ports as well. Whoever may send from the
   * one is that instance; of which of its ports the address is, does not matter.
   */
  ofOneInstance(ports: readonly Port[]): Verdict | undefined {
    const own = this.byMac.filter(
      ({ instanceId, projectId }) =>
        instanceId !== undefined &&
        projectId !== undefined &&
        ports.some((port) => port.instanceId === instanceId && port.projectId === projectId),
    )
    if (own.length !== 1) return undefined
    return this.oneOf(own, 'same_instance', 'Address and source MAC are of ports of one instance.')
  }

  #because(why: string): Evidence {
    const { networkIds, byAddress, byMac, macAddress, elsewhere, behind } = this.#considered
    const { ingressPort } = this.#key
    const [ingressNetworkId] = ingressPort === undefined ? [] : this.#place.onLink
    const further = elsewhere.length + behind.length > 0 ? [...elsewhere, ...behind] : undefined
    return {
      networkIds,
      byAddress,
      byMac,
      macAddress,
      why,
      ...(ingressNetworkId !== undefined && { ingressNetworkId }),
      ...(further !== undefined && { further }),
    }
  }
}
