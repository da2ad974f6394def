/** What does the proxy answer on its admin socket? */
import { z } from '../../files/schema.ts'
import { commonEndpoints, type ApiEndpoint } from './endpoint.ts'
import { auditReport, count, explanation, health, message, scope, time } from './shared.ts'

const trouble = z.strictObject({ netns: z.string(), why: z.string() })

const agentReport = z.strictObject({
  agent: z.string(),
  state: z.enum(['up', 'down']),
  isAnswering: z.boolean(),
  lastFailure: z.string().optional(),
})

/** How the proxy stands. */
export const proxyStatus = z.strictObject({
  version: z.string(),
  node: z.string(),
  pid: count,
  health,
  agents: z.array(
    z.strictObject({
      agent: z.string(),
      up: count,
      down: count,
      answering: count,
      lastFailure: z.string().optional(),
    }),
  ),
  forwarding: z.strictObject({
    mode: z.enum(['auto', 'agent', 'direct']),
    straight: count,
    throughAgent: count,
    why: z.string().optional(),
  }),
  servedScopes: z.array(
    z.strictObject({
      socket: z.string(),
      state: z.enum(['accepted', 'pending', 'absent', 'refused']),
      scopes: count,
      why: z.string().optional(),
    }),
  ),
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
  ovnProvision: z.looseObject({ troubles: z.array(trouble) }).optional(),
})

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
