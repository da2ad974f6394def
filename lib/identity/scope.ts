import type { NetworkId, RouterId } from './ids.ts'

/**
 * The router or network whose namespace a request came through. An address means something only inside
 * a scope: the same `10.0.0.10` exists in hundreds of them.
 */
export type Scope =
  | { readonly kind: 'router'; readonly routerId: RouterId }
  | { readonly kind: 'network'; readonly networkId: NetworkId }

/** One text per scope, for cache keys, logs and people: `router/ID` or `network/ID`. */
export function scopeText(scope: Scope): string {
  return scope.kind === 'router' ? `router/${scope.routerId}` : `network/${scope.networkId}`
}
