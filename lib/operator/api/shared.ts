/** What do answers of both daemons have in common? Described once, so that a description and an answer cannot differ unnoticed. */
import { z } from '../../files/schema.ts'
import { isReasonCode } from '../../runtime/reason-codes.ts'
import { healthStates } from '../health.ts'

export const count = z.int().min(0)
export const milliseconds = z.number().min(0)
/** ISO 8601. */
export const time = z.iso.datetime()
/** `router/ID` or `network/ID` */
export const scope = z.string().regex(/^(?:router|network)\/./)
export const reason = z.string().refine(isReasonCode)

export const message = z.strictObject({ message: z.string() })

export const alive = z.strictObject({ status: z.literal('ok') })

const healthState = z.enum(healthStates)

export const health = z.strictObject({
  state: healthState,
  ready: z.boolean(),
  parts: z.array(
    z.strictObject({
      name: z.string(),
      state: healthState,
      ready: z.boolean(),
      detail: z.string(),
    }),
  ),
  problems: z.array(
    z.strictObject({
      part: z.string(),
      code: z.string(),
      state: z.enum(['degraded', 'not_ready']),
      what: z.string(),
      howMany: count,
      of: count,
      effect: z.string(),
      remedy: z.string(),
      since: time,
    }),
  ),
  served: z.strictObject({ guest: time.optional(), canary: time.optional() }),
})

export const explanation = z.strictObject({
  steps: z.array(
    z.strictObject({
      step: z.string(),
      detail: z.record(z.string(), z.unknown()),
      ms: milliseconds,
    }),
  ),
  verdict: z.looseObject({ kind: z.string(), reason: reason.optional() }),
})

export const finding = z.looseObject({
  code: z.string(),
  level: z.enum(['ok', 'warn', 'fail']),
  what: z.string(),
  about: z.string().optional(),
  remedy: z.string().optional(),
})

export const requestEvent = z.strictObject({
  at: time,
  requestId: z.string(),
  method: z.string(),
  target: z.string(),
  scope: scope.optional(),
  sourceIp: z.string().optional(),
  sourceMac: z.string().optional(),
  ingressPort: z.string().optional(),
  networkId: z.string().optional(),
  instanceId: z.string().optional(),
  projectId: z.string().optional(),
  answeredBy: z.enum(['agent', 'compute', 'worker', 'nobody']),
  outcome: z.enum(['relayed', 'refused', 'cut_off', 'left']),
  status: count,
  reason: reason.optional(),
  span: milliseconds,
})

export const auditReport = {
  checked: z.record(z.string(), count),
  notes: z.array(z.string()),
  findings: z.array(finding),
}
