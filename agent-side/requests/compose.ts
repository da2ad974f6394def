/** How does what happens to each request come together? */
import { BootDetector } from '../../lib/admission/boot-detector.ts'
import type { FairGateOptions } from '../../lib/admission/fair-gate.ts'
import { RefusalLog } from '../../lib/observe/refusal-log.ts'
import type { ComputeParts } from '../compute/compose.ts'
import type { AgentConfig } from '../config/config.ts'
import type { Surroundings } from '../config/surroundings.ts'
import { DecisionLog } from './decision-log.ts'
import {
  GuestRateLimits,
  type RateLimitObserver,
  type RateLimitSettings,
} from './guest-rate-limits.ts'
import { ProxyTurns } from './proxy-turns.ts'
import { RequestHandler, type RequestHandlerOptions } from './request-handler.ts'

/** What a request meets on its way through. */
export interface RequestParts {
  readonly handler: RequestHandler
  readonly turns: ProxyTurns
  readonly decisions: DecisionLog
}

/** What is decided elsewhere about a request. */
export type RequestDecisions = Pick<
  RequestHandlerOptions,
  'resolver' | 'shield' | 'rateLimits' | 'fence' | 'leases' | 'isReady' | 'observer'
> &
  Pick<ComputeParts, 'compute'> & { readonly waiting: FairGateOptions }

/** Makes the limits for guests, which leases must know of as well. */
export function composeRateLimits(
  config: AgentConfig,
  { clock }: Surroundings,
  observer: RateLimitObserver,
): GuestRateLimits {
  const { instances: maxInstances } = config.rate_limit
  return new GuestRateLimits({ clock, settings: rateLimitSettings(config), maxInstances, observer })
}

/** Makes whoever handles requests. */
export function composeRequests(
  config: AgentConfig,
  { clock, logger }: Surroundings,
  { waiting, ...decisions }: RequestDecisions,
): RequestParts {
  const log = new DecisionLog(config.admin.decisions)
  const turns = new ProxyTurns(waiting)
  const handler = new RequestHandler({
    ...decisions,
    sourceMac: config.source_mac,
    turns,
    boots: new BootDetector({ clock, ...config.boot, max: config.rate_limit.instances }),
    decisions: log,
    clock,
    logger,
    refusals: new RefusalLog(logger, clock),
    bodyLimit: config.limits.body_bytes,
  })
  return { handler, turns, decisions: log }
}

/** The limits of a configuration, which can be replaced while the agent runs. */
export function rateLimitSettings({ rate_limit: options }: AgentConfig): RateLimitSettings {
  return {
    isEnabled: options.enabled,
    isDryRun: options.dry_run,
    limits: {
      base: { span: options.base_window_duration, limit: options.base_query_rate_limit },
      burst: { span: options.burst_window_duration, limit: options.burst_query_rate_limit },
    },
  }
}
