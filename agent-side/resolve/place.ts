/** Through which networks may a request have come in? */
import type { IngressPort } from '../../lib/identity/ingress-port.ts'
import type { NetworkId } from '../../lib/identity/ids.ts'
import { networksOf, type RouterInterface } from '../ports/directory/port-directory.ts'
import { routedByAddress, type RoutedRules } from './routed-policy.ts'

/** The networks a verdict is about, by what their ports can be to the request. */
export interface Place {
  /** Its guests reach the interface without a router in between, so ports of these alone can be on the link. */
  readonly onLink: readonly NetworkId[]
  /** Networks of the router whose interfaces the request did not use. */
  readonly elsewhere: readonly NetworkId[]
  /** Networks that the configuration declares behind those on the link. Never one with an interface on the router. */
  readonly behind: readonly NetworkId[]
  /** Why there is nothing on the link although the router has networks. */
  readonly refusal?: 'ingress_port_unknown' | 'ingress_mismatch'
}

/** The place of a request whose ingress is not known: any of the networks may be the one. */
export function placeOf(networkIds: readonly NetworkId[]): Place {
  return { onLink: networkIds, elsewhere: [], behind: [] }
}

/** The place of a request that came in through a known interface of a router. */
export function placeOfIngress(
  ingressPort: IngressPort,
  interfaces: readonly RouterInterface[],
  routed: RoutedRules = routedByAddress,
): Place {
  const all = networksOf(interfaces)
  if (ingressPort === 'other') {
    return { onLink: [], elsewhere: all, behind: [], refusal: 'ingress_mismatch' }
  }
  const used = interfaces.filter(({ portId }) => portId?.startsWith(ingressPort) === true)
  const [networkId, another] = networksOf(used)
  // Names of interfaces are unique in a namespace: two ports of one prefix are a source that contradicts itself.
  if (networkId === undefined || another !== undefined) {
    return { onLink: [], elsewhere: all, behind: [], refusal: 'ingress_port_unknown' }
  }
  const { behind } = routed.of(networkId)
  return {
    onLink: [networkId],
    elsewhere: all.filter((one) => one !== networkId),
    behind: behind.length === 0 ? behind : behind.filter((one) => !all.includes(one)),
  }
}

/** Every network of a place. */
export function networksOfPlace({ onLink, elsewhere, behind }: Place): readonly NetworkId[] {
  return elsewhere.length === 0 && behind.length === 0
    ? onLink
    : [...new Set([...onLink, ...elsewhere, ...behind])]
}
