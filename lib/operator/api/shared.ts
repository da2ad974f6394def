/** What do answers of both daemons have in common? Described once, so that a description and an answer cannot differ unnoticed. */
import { z } from '../../files/schema.ts'
import { isReasonCode } from '../../runtime/reason-codes.ts'
import { healthStates } from '../health.ts'

/** A whole number of things. */
export const count = z.int().min(0)
/** A span of time. */
export const milliseconds = z.number().min(0)
/** ISO 8601. */
export const time = z.iso.datetime()
/** `router/ID` or `network/ID` */
export const scope = z.string().regex(/^(?:router|network)\/./)
/** A reason code of the error reference. */
export const reason = z.string().refine(isReasonCode)

/** Why there is no other answer. */
export const message = z.strictObject({ message: z.string() })

/** The process answers. */
export const alive = z.strictObject({ status: z.literal('ok') })

const healthState = z.enum(healthStates)

/** Whether guests can be served, with each problem. */
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

/** Each step that led to an answer, and the verdict. */
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

/** One thing that is not as it should be. */
export const finding = z.looseObject({
  code: z.string(),
  level: z.enum(['ok', 'warn', 'fail']),
  what: z.string(),
  about: z.string().optional(),
  effect: z.string().optional(),
  remedy: z.string().optional(),
})

/** One request of a guest that is over. */
export const requestEvent = z.strictObject({
  at: time,
  requestId: z.string(),
  method: z.string(),
  /** The request-target, cut where it becomes long. */
  target: z.string(),
  scope: scope.optional(),
  sourceIp: z.string().optional(),
  sourceMac: z.string().optional(),
  ingressPort: z.string().optional(),
  /** Of the instance, where it is known. */
  networkId: z.string().optional(),
  instanceId: z.string().optional(),
  projectId: z.string().optional(),
  /** `compute`: by the worker itself, under a lease. `nobody`: the guest left before. */
  answeredBy: z.enum(['agent', 'compute', 'worker', 'nobody']),
  /** `cut_off`: the answer broke off in the middle. `left`: the guest did not wait. */
  outcome: z.enum(['relayed', 'refused', 'cut_off', 'left']),
  /** What the guest got; 0 when nothing. */
  status: count,
  reason: reason.optional(),
  span: milliseconds,
})

/** The last hour, the oldest minute first. */
export const history = z.strictObject({
  minutes: z.array(
    z.strictObject({
      at: time,
      answers: z.record(z.string(), count),
      median: milliseconds.optional(),
      p99: milliseconds.optional(),
    }),
  ),
})

/** The fields of what an audit found. */
export const auditReport = {
  checked: z.record(z.string(), count),
  notes: z.array(z.string()),
  findings: z.array(finding),
}
