/** How do leases come together with what they hold about a guest and compute? */
import { proxyAccount } from '../../lib/files/accounts.ts'
import { concurrencyOf, type ComputeParts } from '../compute/compose.ts'
import { leaseTerms } from '../compute/lease-terms.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import {
  ConnectionRefusals,
  type ConnectionRefusalsOptions,
} from '../listeners/connection-refusals.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'
import type { GuestRateLimits } from '../requests/guest-rate-limits.ts'
import type { Resolver } from '../resolve/resolver.ts'
import type { Fence } from '../served-scopes/fence.ts'
import type { GuestShield } from '../shield/shield.ts'
import { LeaseIssuer } from './lease-issuer.ts'
import { LeaseListener } from './lease-listener.ts'

/** What leases are made of. */
export interface LeasedParts {
  readonly resolver: Resolver
  readonly directory: PortDirectory
  readonly rateLimits: GuestRateLimits
  readonly fence: Fence | undefined
  readonly shield: Pick<GuestShield, 'mayLease' | 'noteLeased'>
  readonly computeParts: ComputeParts
  readonly observer: ConnectionRefusalsOptions['observer']
}

/** Who grants leases, and where workers request them. */
export interface Leasing {
  readonly issuer: LeaseIssuer
  readonly listener: LeaseListener
}

/** @returns `undefined` where leases are not enabled */
export function composeLeasing(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  { resolver, directory, rateLimits, fence, shield, computeParts, observer }: LeasedParts,
): Leasing | undefined {
  const { leases, compute, limits } = config
  if (!leases.enabled) return undefined
  const { upstreams, signer } = computeParts
  const terms = {
    caFile: compute.tls.ca_file,
    keyFile: compute.tls.key_file,
    insecure: compute.tls.insecure,
    timeoutHeaders: compute.timeout_headers,
    timeoutBody: compute.timeout_body,
  }
  const issuer = new LeaseIssuer({
    verdicts: resolver,
    directory,
    fence,
    // What is not seen here cannot be limited here.
    upstreamsFor: (identity, scope) =>
      rateLimits.settings.isEnabled || !shield.mayLease(identity, scope)
        ? []
        : leaseTerms(upstreams, signer, terms, identity),
    onServed: (identity, { scope }, use) => shield.noteLeased(identity, scope, use),
    concurrency: concurrencyOf(compute),
    clock,
    ttl: leases.ttl,
    oldest: config.cache.ttl,
    maxPerHolder: leases.per_worker,
  })
  const { socket: path, mode, user, group } = leases
  const socket = { path, mode, user, group, backlog: limits.backlog, usualGroup: proxyAccount }
  const refusals = new ConnectionRefusals({ clock, logger, observer })
  return { issuer, listener: new LeaseListener({ issuer, socket, refusals }) }
}
