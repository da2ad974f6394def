/** What does the agent answer on its admin socket? */
import { z, type FormOf } from '../../files/schema.ts'
import { shieldReport } from '../../shield/seen-row.ts'
import { commonEndpoints, type ApiEndpoint } from './endpoint.ts'
import {
  auditReport,
  count,
  explanation,
  health,
  message,
  milliseconds,
  reason,
  scope,
  time,
} from './shared.ts'

/** How the agent stands: the body of `/status`. It names ports and projects, so it is for operators alone. */
export const agentStatus = z.strictObject({
  version: z.string(),
  /** Of Node: `v22.1.0`. */
  node: z.string(),
  pid: count,
  /** In seconds. */
  uptime: count,
  memory: z.strictObject({ rss: count, heapUsed: count }),
  health,
  directory: z.strictObject({ kind: z.string(), ready: z.boolean(), detail: z.string() }),
  sourceMac: z.string(),
  listeners: z.array(
    z.strictObject({
      /** Path, or `https://192.0.2.1:9699`. */
      socket: z.string(),
      kind: z.string(),
      connections: count,
      /** Of a listener over TLS. */
      certificateEnds: time.optional(),
      /** Why changed files of certificates or proxies are not used. */
      refusedFiles: z.string().optional(),
    }),
  ),
  /** Which scopes workers of this host may send requests for. Absent where no worker of this host connects. */
  servedScopes: z
    .union([
      z.strictObject({ state: z.literal('off') }),
      z.strictObject({
        state: z.enum(['open', 'starting', 'closed']),
        scopes: count,
        supervisors: count,
        areWorkersApart: z.boolean(),
        waiting: count,
      }),
    ])
    .optional(),
  upstreams: z.array(
    z.strictObject({
      url: z.string(),
      state: z.enum(['up', 'due', 'down']),
      inFlight: count,
      answers: count,
      failures: count,
      lastFailure: z.strictObject({ why: z.string(), at: time }).optional(),
      /** Which of our secrets it took last. */
      secret: z.enum(['current', 'next']),
      /** After it refused each of them: the shared secrets probably differ. */
      refusesSecrets: z.boolean(),
    }),
  ),
  cache: z.strictObject({ found: count, refused: count, openQueries: count }),
  /** Requests to compute: how many may run, how many do, how many wait for their turn. */
  compute: z.strictObject({ limit: z.number(), running: count, waiting: count }),
  rateLimit: z.strictObject({
    enabled: z.boolean(),
    dryRun: z.boolean(),
    /** The instances that were refused most often, or would have been. */
    offenders: z.array(z.strictObject({ instanceId: z.string(), refused: count })),
  }),
  recentRefusals: z.array(
    z.strictObject({
      at: time,
      requestId: z.string(),
      outcome: z.string(),
      status: count,
      reason: reason.optional(),
      scope: scope.optional(),
      sourceIp: z.string().optional(),
      sourceMac: z.string().optional(),
      ingressPort: z.string().optional(),
      target: z.string(),
      span: milliseconds,
    }),
  ),
})

/** @see agentStatus */
export type AgentStatus = FormOf<typeof agentStatus>

/** What a guest of a scope gets: the metadata of an instance, or a refusal and why. */
const scopeAnswer = z.strictObject({
  scope,
  networkId: z.string(),
  address: z.string(),
  macAddress: z.string(),
  instanceId: z.string().optional(),
  reason: reason.optional(),
})

/** @see scopeAnswer */
export type ScopeAnswer = FormOf<typeof scopeAnswer>

/** Every endpoint of the agent. */
export const agentApi: readonly ApiEndpoint[] = [
  ...commonEndpoints({
    status: agentStatus,
    audit: z.strictObject({ ...auditReport, answers: z.array(scopeAnswer).optional() }),
    auditRequest: z.strictObject({
      scopes: z.array(scope).optional(),
      answers: z.boolean().optional(),
    }),
  }),
  {
    method: 'get',
    path: '/explain',
    summary: 'Why does a guest get what it gets? Of one address, or of one past request.',
    query: ['router', 'network', 'ip', 'mac', 'ingress_port', 'request'],
    answers: { 200: explanation, 400: message, 404: message },
  },
  {
    method: 'get',
    path: '/shield',
    summary:
      'Which programs in guests were seen, and which shields do they not pass? Times are milliseconds since 1970.',
    answers: { 200: shieldReport },
  },
  {
    method: 'post',
    path: '/unseal',
    summary:
      'Serve the sealed documents of an instance again. The log has who ordered that and why.',
    body: z.strictObject({ instance: z.string(), who: z.string(), why: z.string() }),
    answers: {
      200: z.strictObject({ unsealed: z.boolean() }),
      400: message,
      415: message,
    },
  },
]
