/** Whose namespace is this? Given by the name of Neutron's agents, or by the operator. */
import { parseNetworkId, parseRouterId } from '../../lib/identity/ids.ts'
import type { Scope } from '../../lib/identity/scope.ts'

/** Which of Neutron's agents makes namespaces of this sort: L3 agent, DHCP agent, OVN metadata agent. */
export type NamespaceKind = 'router' | 'network' | 'ovn'
export const namespaceKinds: readonly NamespaceKind[] = ['router', 'network', 'ovn']

/** What every connection accepted in a namespace is tagged with. Nothing a guest sends can change it. */
export interface NamespaceIdentity {
  readonly kind: NamespaceKind
  readonly scope: Scope
  /** In which header the scope goes to the agent: `ovn` has its own for networks. */
  readonly flavour: 'ml2' | 'ovn'
}

/** @see neutron/agent/l3/namespaces.py, agent/linux/dhcp.py, agent/ovn/metadata/agent.py */
const pattern =
  /^(qrouter|qdhcp|ovnmeta)-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/

/**
 * Reads a namespace's name: `qrouter-UUID`, `qdhcp-UUID` or `ovnmeta-UUID`.
 * @returns `undefined` for every other name; close is not good enough
 */
export function identityFromName(netns: string): NamespaceIdentity | undefined {
  const [, prefix, id] = pattern.exec(netns) ?? []
  if (prefix === 'qrouter') return identityOf('router', id)
  if (prefix === 'qdhcp') return identityOf('network', id)
  if (prefix === 'ovnmeta') return identityOf('ovn', id)
  return undefined
}

/** @returns `undefined` when the text cannot be an id */
export function identityOf(kind: NamespaceKind, id: unknown): NamespaceIdentity | undefined {
  if (kind === 'router') {
    const routerId = parseRouterId(id)
    return routerId && { kind, scope: { kind: 'router', routerId }, flavour: 'ml2' }
  }
  const networkId = parseNetworkId(id)
  return (
    networkId && {
      kind,
      scope: { kind: 'network', networkId },
      flavour: kind === 'ovn' ? 'ovn' : 'ml2',
    }
  )
}

/** True when both stand for the same scope, sent to the agent in the same header. */
export function isSameIdentity(one: NamespaceIdentity, other: NamespaceIdentity): boolean {
  return one.kind === other.kind && scopeId(one.scope) === scopeId(other.scope)
}

/** The router's or network's id. */
export function scopeId(scope: Scope): string {
  return scope.kind === 'router' ? scope.routerId : scope.networkId
}
