/** What became of a request that the agent never saw? */
import type { Clock, Count, MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import { Latest } from '../../../lib/observe/ring-buffer.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { GuestIdentity } from '../shared/guest-identity.ts'
import type { Lease } from './lease-store.ts'
import type { DirectRecord } from '../shared/protocol.ts'

/** One request that went straight to compute and is over. Holds nothing that is signed. */
interface Ended extends Pick<
  DirectRecord,
  | 'requestId'
  | 'method'
  | 'target'
  | 'sourceIp'
  | 'sourceMac'
  | 'ingressPort'
  | 'instanceId'
  | 'projectId'
  | 'upstream'
  | 'outcome'
  | 'status'
> {
  readonly scope: string
  readonly reason: ReasonCode | undefined
  readonly began: MonotonicMilliseconds
  readonly ended: MonotonicMilliseconds
}

export interface EndedRequest {
  readonly request: {
    readonly requestId: string
    readonly method: string
    readonly target: string
  }
  readonly guest: GuestIdentity
  readonly lease: Lease
  readonly upstream: { readonly url: string }
  readonly began: MonotonicMilliseconds
  readonly outcome: DirectRecord['outcome']
  /** 0 when the guest got none. */
  readonly status: number
  readonly reason?: ReasonCode | undefined
}

/** Of each sort: what went well must not push out what did not. */
const mostKept: Count = 1_000
const longestShownTarget = 200

/** The latest requests that went straight to compute, for whoever asks about one by its id. */
export class DirectLog {
  readonly #clock: Clock
  readonly #served = new Latest<Ended>(mostKept)
  readonly #failed = new Latest<Ended>(mostKept)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add({ request, guest, lease, upstream, began, outcome, status, reason }: EndedRequest): void {
    const { requestId, method, target } = request
    const kept = outcome === 'relayed' && status < 400 ? this.#served : this.#failed
    kept.add({
      requestId,
      method,
      target: target.length > longestShownTarget ? target.slice(0, longestShownTarget) : target,
      scope: guest.listener.scope,
      sourceIp: guest.address,
      sourceMac: lease.sourceMac,
      ...(guest.ingressPort !== undefined && { ingressPort: guest.ingressPort }),
      instanceId: lease.instance,
      projectId: lease.project,
      upstream: upstream.url,
      outcome,
      status,
      reason,
      began,
      ended: this.#clock.now(),
    })
  }

  find(requestId: string): DirectRecord | undefined {
    const isWanted = (one: Ended): boolean => one.requestId === requestId
    const found = this.#failed.find(isWanted) ?? this.#served.find(isWanted)
    if (found === undefined) return undefined
    const { began, ended, reason, ...record } = found
    const at = this.#clock.wallTime() - (this.#clock.now() - began)
    return { ...record, at, span: ended - began, ...(reason !== undefined && { reason }) }
  }
}
