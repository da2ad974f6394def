/** Why did a guest get what it got, as far as its worker knows? */
import type { ExplainStep, Explanation } from '../../lib/operator/explanation.ts'
import type { RequestRecord } from '../worker/shared/protocol.ts'

const whyOf: Readonly<Record<RequestRecord['answeredBy'], string>> = {
  agent: 'The agent answered: "overlapd explain --request" reads the rest from it.',
  compute:
    'The agent had leased the headers of this instance for this scope, address, MAC and port of the router; it was not queried again.',
  worker: 'The worker refused by itself.',
  nobody: 'The guest left before it had its answer.',
}

/** A request as steps. Only their order and the total time are known afterwards. */
export function explainedRequest(record: RequestRecord): Explanation {
  const { at, method, target, scope, sourceIp, sourceMac, ingressPort, answeredBy } = record
  const { instanceId, projectId, upstream, outcome, status, reason, span } = record
  const from = { scope, sourceIp, sourceMac, ...(ingressPort !== undefined && { ingressPort }) }
  const shown = { outcome, status, ...(reason !== undefined && { reason }) }
  const identity = { instanceId, projectId }
  const received = { at: new Date(at).toISOString(), method, target, ...from }
  const between: readonly ExplainStep[] =
    upstream === undefined
      ? []
      : [
          { step: 'lease', detail: identity, ms: 0 },
          { step: 'compute', detail: { upstream }, ms: 0 },
        ]
  return {
    steps: [
      { step: 'received', detail: received, ms: 0 },
      ...between,
      { step: 'answered', detail: shown, ms: Math.round(span * 1_000) / 1_000 },
    ],
    verdict: {
      kind: reason === undefined ? 'found' : 'refused',
      basis: upstream === undefined ? answeredBy : 'lease',
      ...(instanceId !== undefined && identity),
      evidence: { why: whyOf[answeredBy] },
      ...shown,
    },
  }
}
