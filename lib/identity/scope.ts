import { parseNetworkId, parseRouterId, type NetworkId, type RouterId } from './ids.ts'

/**
 * The router or network whose namespace a request came through. An address means something only inside
 * a scope: the same `10.0.0.10` exists in hundreds of them.
 */
export type Scope =
  | { readonly kind: 'router'; readonly routerId: RouterId }
  | { readonly kind: 'network'; readonly networkId: NetworkId }

/** A scope in one text. */
export type ScopeText = `router/${string}` | `network/${string}`

/** One text per scope, for cache keys, logs and people: `router/ID` or `network/ID`. */
export function scopeText(scope: Scope): ScopeText {
  return scope.kind === 'router' ? `router/${scope.routerId}` : `network/${scope.networkId}`
}

/** @returns the text as {@link scopeText} writes it, or `undefined` when it names no scope */
export function parseScopeText(text: unknown): ScopeText | undefined {
  if (typeof text !== 'string') return undefined
  const id = text.slice(text.indexOf('/') + 1)
  if (text.startsWith('router/') && parseRouterId(id) !== undefined) return `router/${id}`
  if (text.startsWith('network/') && parseNetworkId(id) !== undefined) return `network/${id}`
  return undefined
}
