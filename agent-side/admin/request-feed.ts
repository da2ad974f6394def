/** What of each decision does whoever watches see? */
import { EventFeed } from '../../lib/http/event-feed.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { RequestEvent } from '../../lib/operator/request-event.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import type { Decision } from '../requests/decision-log.ts'
import type { CutOffReason } from '../requests/unread-answers.ts'
import type { AgentMetrics } from './metrics.ts'

export interface RequestFeedOptions {
  readonly clock: Clock
  readonly metrics: Pick<AgentMetrics, 'decided' | 'unreadCutOff'>
}

/** Counts every request, and sends it to those who watch. */
export class RequestFeed {
  readonly events: EventFeed<RequestEvent>
  readonly #metrics: RequestFeedOptions['metrics']

  constructor({ clock, metrics }: RequestFeedOptions) {
    this.events = new EventFeed({ clock })
    this.#metrics = metrics
  }

  decided(decision: Decision): void {
    this.#metrics.decided(decision)
    if (this.events.isWatched) this.events.publish(decisionEvent(decision))
  }

  unreadCutOff(why: CutOffReason): void {
    this.#metrics.unreadCutOff(why)
  }
}

function decisionEvent(decision: Decision): RequestEvent {
  const { at, requestId, method, target, key, resolution, outcome, status, reason, span } = decision
  const identity = resolution?.kind === 'found' ? resolution.identity : undefined
  return {
    at: new Date(at).toISOString(),
    requestId,
    method,
    target,
    ...(key && { scope: scopeText(key.scope), sourceIp: key.sourceIp }),
    ...(key?.sourceMac !== undefined && { sourceMac: key.sourceMac }),
    ...(key?.ingressPort !== undefined && { ingressPort: key.ingressPort }),
    ...(identity && {
      networkId: identity.networkId,
      instanceId: identity.instanceId,
      projectId: identity.projectId,
    }),
    answeredBy: 'agent',
    outcome,
    status,
    ...(reason !== undefined && { reason }),
    span: Math.round(span * 1_000) / 1_000,
  }
}
