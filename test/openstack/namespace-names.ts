/** Whose namespace: the L3 agent's, the DHCP agent's or the OVN metadata agent's. */
export type ScopeKind = 'router' | 'network' | 'ovn'

const prefixes = { router: 'qrouter', network: 'qdhcp', ovn: 'ovnmeta' } as const

/** The namespace that the host side serves for a router or network, and that of the guest behind it. */
export function namespacesOf(
  kind: ScopeKind,
  scopeId: string,
): { readonly netns: string; readonly served: string } {
  return { netns: `ovt-guest-${scopeId}`, served: `${prefixes[kind]}-${scopeId}` }
}
