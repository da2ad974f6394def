import type { FenceStatus } from '../served-scopes/fence.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import type { Bytes, Count, Milliseconds, Seconds } from '../../lib/runtime/clock.ts'

/** The body of `/status`: how the agent stands. Names ports and projects, so it is for operators alone. */
export interface AgentStatus {
  readonly version: string
  /** Of Node: `v22.1.0`. */
  readonly node: string
  readonly pid: number
  readonly uptime: Seconds
  readonly memory: { readonly rss: Bytes; readonly heapUsed: Bytes }
  readonly health: HealthReport
  readonly directory: {
    readonly kind: string
    readonly ready: boolean
    readonly detail: string
  }
  readonly sourceMac: string
  readonly listeners: readonly {
    /** Path, or `https://192.0.2.1:9699`. */
    readonly socket: string
    readonly kind: string
    readonly connections: Count
    /** Of a listener over TLS, in ISO 8601. */
    readonly certificateEnds?: string
    /** Why changed files of certificates or proxies are not used. */
    readonly refusedFiles?: string
  }[]
  /** Which scopes workers of this host may send requests for. Absent where no worker of this host connects. */
  readonly servedScopes?: FenceStatus | { readonly state: 'off' }
  readonly upstreams: readonly UpstreamStatus[]
  readonly cache: { readonly found: Count; readonly refused: Count; readonly openQueries: Count }
  /** Requests to compute: how many may run, how many do, how many wait for their turn. */
  readonly compute: { readonly limit: Count; readonly running: Count; readonly waiting: Count }
  readonly rateLimit: {
    readonly enabled: boolean
    readonly dryRun: boolean
    /** The instances that were refused most often, or would have been. */
    readonly offenders: readonly { readonly instanceId: string; readonly refused: Count }[]
  }
  readonly recentRefusals: readonly RecentRefusal[]
}

/** How one compute endpoint stands. */
export interface UpstreamStatus {
  readonly url: string
  readonly state: 'up' | 'due' | 'down'
  readonly inFlight: Count
  readonly answers: Count
  readonly failures: Count
  readonly lastFailure?: { readonly why: string; readonly at: string }
  /** Which of our secrets it took last. */
  readonly secret: 'current' | 'next'
  /** True after it refused each of them: the shared secrets probably differ. */
  readonly refusesSecrets: boolean
}

/** One request that did not get what it wanted. */
export interface RecentRefusal {
  readonly at: string
  readonly requestId: string
  readonly outcome: string
  readonly status: number
  readonly reason?: string
  readonly scope?: string
  readonly sourceIp?: string
  readonly sourceMac?: string
  readonly ingressPort?: string
  readonly target: string
  readonly span: Milliseconds
}
