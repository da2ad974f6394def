/** Which requests are a boot's, and how many others may an instance send? */
import type { Table } from '../../lib/config/entry.ts'
import { duration, flag, integer } from '../../lib/config/option.ts'

/** What counts as the boot of an instance. */
export const bootTable = {
  requests: integer({
    help: 'How many requests of an instance count as its boot: they go first where requests wait, and no rate limit counts them. cloud-init makes 28, and one for each further key or block device.',
    default: 100,
    min: 0,
    max: 100_000,
    unit: 'requests',
  }),
  period: duration({
    help: 'How long a boot may take, from the first request of the instance.',
    default: '5m',
    min: '1s',
    max: '1d',
  }),
  silence: duration({
    help: 'An instance that was silent for so long may be booting again.',
    default: '10m',
    min: '1s',
    max: '7d',
  }),
} as const satisfies Table

/** What Neutron's own default is: both windows alike. */
const windowDefaults = { duration: '10s', limit: 10 } as const

/** How many requests an instance may send, in the words of Neutron's `[metadata_rate_limiting]`. */
export const rateLimitTable = {
  enabled: flag({
    help: 'Limit the requests of each instance. Requests above the limit get a 429 with Retry-After, and do not count. SIGHUP changes it and the options beside it while the agent runs, but for instances.',
    default: false,
  }),
  dry_run: flag({
    help: 'Only count what would be refused, in overlapd_agent_rate_limit_would_limit_total.',
    default: false,
  }),
  base_window_duration: duration({
    help: 'The longer window, as Neutron counts it: no stretch of this length has more requests than base_query_rate_limit.',
    default: windowDefaults.duration,
    min: '1s',
    max: '1d',
  }),
  base_query_rate_limit: integer({
    help: 'Requests of one instance in a base window.',
    default: windowDefaults.limit,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  burst_window_duration: duration({
    help: 'The shorter window.',
    default: windowDefaults.duration,
    min: '1s',
    max: '1d',
  }),
  burst_query_rate_limit: integer({
    help: 'Requests of one instance in a burst window.',
    default: windowDefaults.limit,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  instances: integer({
    help: 'How many instances are remembered, here and for the sake of boot; the ones that were silent longest are forgotten first.',
    default: 65_536,
    min: 2,
    max: 10_000_000,
    unit: 'instances',
  }),
} as const satisfies Table
