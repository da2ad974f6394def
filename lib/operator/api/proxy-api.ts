/** What does the proxy answer on its admin socket? */
import { z, type FormOf } from '../../files/schema.ts'
import { commonEndpoints, type ApiEndpoint } from './endpoint.ts'
import { auditReport, count, explanation, health, message, scope, time } from './shared.ts'

const trouble = z.strictObject({ netns: z.string(), why: z.string() })

const agentReport = z.strictObject({
  agent: z.string(),
  state: z.enum(['up', 'down']),
  isAnswering: z.boolean(),
  lastFailure: z.string().optional(),
})

/** How the proxy stands: the body of `/status`. */
export const proxyStatus = z.strictObject({
  version: z.string(),
  /** Of Node: `v22.1.0`. */
  node: z.string(),
  pid: count,
  health,
  agents: z.array(
    z.strictObject({
      /** A path, or `https://192.0.2.1:9699`. */
      agent: z.string(),
      /** Workers that reach it, or have not needed it yet. */
      up: count,
      down: count,
      /** Workers whose latest answer came from it. */
      answering: count,
      lastFailure: z.string().optional(),
    }),
  ),
  forwarding: z.strictObject({
    mode: z.enum(['auto', 'agent', 'direct']),
    /** Workers that send straight to Nova whatever a lease covers. */
    straight: count,
    /** Workers that send everything through the agent, and why. */
    throughAgent: count,
    why: z.string().optional(),
  }),
  /** Which agents of this host receive what it serves. */
  servedScopes: z.array(
    z.strictObject({
      socket: z.string(),
      state: z.enum(['accepted', 'pending', 'absent', 'refused']),
      scopes: count,
      why: z.string().optional(),
    }),
  ),
  /** Of this host, for agents of others. */
  certificate: z.strictObject({ ends: time, refusedFiles: z.string().optional() }).optional(),
  namespaces: z.array(
    z.strictObject({
      netns: z.string(),
      kind: z.string(),
      scope,
      flavour: z.enum(['ml2', 'ovn']),
      state: z.enum(['opening', 'serving', 'failed']),
      listeners: z.array(z.string()),
      absent: z.array(z.string()).optional(),
      interception: z.enum(['applying', 'applied', 'failed']).optional(),
      canary: z.enum(['up', 'down', 'unknown']).optional(),
      why: z.string().optional(),
    }),
  ),
  refused: z.array(trouble),
  workers: z.array(
    z.strictObject({
      pid: count,
      state: z.enum(['starting', 'ready', 'draining', 'gone']),
      since: z.string(),
      restarts: count,
      agents: z.array(agentReport),
    }),
  ),
  /** Where OVN networks are provisioned. */
  ovnProvision: z
    .strictObject({
      southbound: z.string().optional(),
      isSouthboundLive: z.boolean().optional(),
      local: z.string().optional(),
      isLocalLive: z.boolean().optional(),
      chassis: z.string().optional(),
      bridge: z.string().optional(),
      /** What keeps the planner from planning or plugging although both databases are there. */
      trouble: z.string().optional(),
      networks: z.strictObject({ pending: count, done: count, failed: count }),
      planner: z.strictObject({ pid: count.optional() }),
      /** Networks that are not as they should be. */
      troubles: z.array(trouble.extend({ state: z.enum(['pending', 'done', 'failed']) })),
    })
    .optional(),
})

/** @see proxyStatus */
export type ProxyStatus = FormOf<typeof proxyStatus>

/** Every endpoint of the proxy. */
export const proxyApi: readonly ApiEndpoint[] = [
  ...commonEndpoints({
    status: proxyStatus,
    audit: z.strictObject({ ...auditReport, scopes: z.array(scope) }),
    auditRequest: z.strictObject({}),
  }),
  {
    method: 'get',
    path: '/explain',
    summary: 'What became of one past request, as far as its worker knows?',
    query: ['request'],
    answers: { 200: explanation, 404: message },
  },
]
