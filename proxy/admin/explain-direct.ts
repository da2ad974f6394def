/** Why did a guest get what it got, where the agent was not asked? */
import type { Explanation } from '../../lib/operator/explanation.ts'
import type { DirectRecord } from '../worker/shared/protocol.ts'

/** A request under a lease as steps. Only their order and the total time are known afterwards. */
export function explainedRequest(record: DirectRecord): Explanation {
  const { at, method, target, scope, sourceIp, sourceMac, ingressPort } = record
  const { instanceId, projectId, upstream, outcome, status, reason, span } = record
  const from = { scope, sourceIp, sourceMac, ...(ingressPort !== undefined && { ingressPort }) }
  const said = { outcome, status, ...(reason !== undefined && { reason }) }
  return {
    steps: [
      {
        step: 'received',
        detail: { at: new Date(at).toISOString(), method, target, ...from },
        ms: 0,
      },
      { step: 'lease', detail: { instanceId, projectId }, ms: 0 },
      { step: 'compute', detail: { upstream }, ms: 0 },
      { step: 'answered', detail: said, ms: Math.round(span * 1_000) / 1_000 },
    ],
    verdict: {
      kind: reason === undefined ? 'found' : 'refused',
      basis: 'lease',
      instanceId,
      projectId,
      evidence: {
        why: 'The agent had leased the headers of this instance for this scope, address, MAC and port of the router; it was not asked again.',
      },
      ...said,
    },
  }
}
