/** How does the resolver come together with the directory and the rules of the configuration? */
import type { Clock } from '../../lib/runtime/clock.ts'
import type { AgentConfig } from '../config/config.ts'
import { routedRulesOf } from '../config/routed-config.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'
import type { IdentityRules } from './identity-policy.ts'
import { Resolver, type ResolverObserver } from './resolver.ts'

/** What the configuration decides about who a guest is. */
export function identityRulesOf(config: AgentConfig): IdentityRules {
  return { sourceMac: config.source_mac, routed: routedRulesOf(config) }
}

/** Makes the resolver. */
export function composeResolver(
  config: AgentConfig,
  clock: Clock,
  directory: PortDirectory,
  observer: ResolverObserver,
): Resolver {
  const { cache, limits } = config
  return new Resolver({
    directory,
    clock,
    ...identityRulesOf(config),
    cache: {
      max: cache.max,
      ttl: cache.ttl,
      maxNegative: cache.max_negative,
      maxNegativePerScope: cache.max_negative_per_scope,
      ttlNegative: cache.ttl_negative,
    },
    timeout: limits.timeout_resolve,
    maxLookups: limits.lookups,
    maxLookupsPerScope: limits.lookups_per_scope,
    observer,
  })
}
