/** What does one attempt show of the endpoint that it was made at? */
import { causeText } from '../../lib/runtime/errors.ts'
import type { AttemptOutcome } from './attempt.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

/** Answers of something before the endpoint that does not reach it. */
export function isGatewayStatus(status: number): boolean {
  return status === 502 || status === 503 || status === 504
}

/** Counts an attempt for or against the endpoint; one whose guest left counts for neither. */
export function noteHealth(
  upstreams: Upstreams,
  upstream: Upstream,
  outcome: AttemptOutcome,
): void {
  if (outcome.kind === 'left') return
  if (outcome.kind === 'failed') {
    const how = outcome.code === 'compute_timeout' ? 'answer' : 'connect'
    upstreams.noteFailure(upstream, how, `${outcome.code}: ${causeText(outcome.cause)}`)
  } else if (isGatewayStatus(outcome.status)) {
    upstreams.noteFailure(upstream, 'answer', `status ${outcome.status}`)
  } else {
    upstreams.noteSuccess(upstream)
  }
}
