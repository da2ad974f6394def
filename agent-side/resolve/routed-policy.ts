import type { NetworkId } from '../../lib/identity/ids.ts'

/**
 * What becomes of a guest that matches no port on the link, as behind a VM that routes.
 * - `refuse`: nothing.
 * - `by_address`: its address decides, among the ports of the network it came in through and of those declared behind it.
 */
export type RoutedPolicy = 'refuse' | 'by_address'
export const routedPolicies: readonly RoutedPolicy[] = ['refuse', 'by_address']

/** What holds for requests that come in through one network. */
export interface NetworkRules {
  readonly routed: RoutedPolicy
  /** Networks without an interface on the router, whose guests VMs of this network route. */
  readonly behind: readonly NetworkId[]
}

/** The rules of each network. */
export interface RoutedRules {
  of(networkId: NetworkId): NetworkRules
}

/** One entry of the configuration. */
export interface NetworkPolicyEntry {
  readonly network: NetworkId
  /** Absent: what holds for all. */
  readonly routed?: RoutedPolicy | undefined
  readonly behind: readonly NetworkId[]
}

/** What holds without a setting: as before there were rules. */
export const routedByAddress: RoutedRules = routedRules('by_address', [])

/** Rules from the configuration: one policy for all, and networks with one of their own. The last entry of a network counts. */
export function routedRules(
  everywhere: RoutedPolicy,
  entries: readonly NetworkPolicyEntry[],
): RoutedRules {
  const usual: NetworkRules = { routed: everywhere, behind: [] }
  const special = new Map(
    entries.map(({ network, routed = everywhere, behind }) => [network, { routed, behind }]),
  )
  return { of: (networkId) => special.get(networkId) ?? usual }
}
