/** What became of the latest requests that guests sent this worker, whoever answered them? */
import type {
  Clock,
  Count,
  EpochMilliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { keptText } from '../../../lib/observe/kept-text.ts'
import type { IngressPort } from '../../../lib/identity/ingress-port.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import type { Lease } from '../forwarding/lease-store.ts'
import type { GuestIdentity } from '../shared/guest-identity.ts'
import { mostRecentRequests, type RecentRequests, type RequestRecord } from '../shared/protocol.ts'

/** A request as the exchange that serves it knows it. */
export interface LoggedRequest {
  readonly requestId: string
  readonly method: string
  readonly target: string
  readonly began: MonotonicMilliseconds
  /** Under what it went straight to compute, where it did. */
  readonly lease: Lease | undefined
  readonly upstream: string | undefined
}

/** One place for a request, used again and again. Of the texts only the target is copied, which is a part of the request's head. */
interface Slot {
  sequence: Count
  requestId: string
  method: string
  target: string
  scope: string
  sourceIp: string
  sourceMac: string | undefined
  ingressPort: IngressPort | undefined
  instanceId: string | undefined
  projectId: string | undefined
  upstream: string | undefined
  answeredBy: RequestRecord['answeredBy']
  outcome: RequestRecord['outcome']
  status: number
  reason: ReasonCode | undefined
  began: MonotonicMilliseconds
  ended: MonotonicMilliseconds
}

/** Of each sort: what went well must not push out what did not. */
const mostKept: Count = 1_000
const longestShownTarget = 200

/** A bounded number of slots; taking one gives the oldest away, so that a busy worker makes no object for it. */
class Slots {
  readonly #slots: Slot[] = []
  #next = 0

  take(): Slot {
    const slot = this.#slots[this.#next] ?? emptySlot()
    this.#slots[this.#next] = slot
    this.#next = (this.#next + 1) % mostKept
    return slot
  }

  all(): readonly Slot[] {
    return this.#slots
  }
}

/** The latest requests, for a query of the supervisor by id, or for those since its last query. */
export class RequestLog {
  readonly #clock: Clock
  readonly #served = new Slots()
  readonly #failed = new Slots()
  #sequence: Count = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Remembers a request that is over. Positional, since it runs for every request. */
  add(
    request: LoggedRequest,
    guest: GuestIdentity,
    answeredBy: RequestRecord['answeredBy'],
    outcome: RequestRecord['outcome'],
    status: number,
    reason: ReasonCode | undefined,
  ): void {
    const kept = outcome === 'relayed' && status < 400 ? this.#served : this.#failed
    const slot = kept.take()
    const { target } = request
    this.#sequence += 1
    slot.sequence = this.#sequence
    slot.requestId = request.requestId
    slot.method = request.method
    slot.target = keptText(target, longestShownTarget)
    slot.scope = guest.listener.scope
    slot.sourceIp = guest.address
    slot.sourceMac = guest.sourceMac
    slot.ingressPort = guest.ingressPort
    // Not the lease itself, which holds what is signed.
    slot.instanceId = request.lease?.instance
    slot.projectId = request.lease?.project
    slot.upstream = request.upstream
    slot.answeredBy = answeredBy
    slot.outcome = outcome
    slot.status = status
    slot.reason = reason
    slot.began = request.began
    slot.ended = this.#clock.now()
  }

  find(requestId: string): RequestRecord | undefined {
    const isWanted = (one: Slot): boolean => one.requestId === requestId
    const slot = this.#failed.all().find(isWanted) ?? this.#served.all().find(isWanted)
    return slot && this.#record(slot)
  }

  /**
   * Those that are newer than a number that an earlier call gave. Where they are too many, those that went wrong come first.
   * @param after absent: none of them, only the number to begin with
   */
  since(after: Count | undefined): RecentRequests {
    const last = this.#sequence
    if (after === undefined) return { last, missed: 0, records: [] }
    const failed = newest(this.#failed, after, mostRecentRequests)
    const served = newest(this.#served, after, mostRecentRequests - failed.length)
    const listed = inOrder([...served, ...failed])
    return {
      last,
      missed: Math.max(0, last - after - listed.length),
      records: listed.map((slot) => this.#record(slot)),
    }
  }

  #record(slot: Slot): RequestRecord {
    const { requestId, method, target, scope, sourceIp, sourceMac, ingressPort } = slot
    const { instanceId, projectId, upstream, answeredBy, outcome, status, reason, began, ended } =
      slot
    const at: EpochMilliseconds = this.#clock.wallTime() - (this.#clock.now() - began)
    return {
      requestId,
      at,
      method,
      target,
      scope,
      sourceIp,
      ...(sourceMac !== undefined && { sourceMac }),
      ...(ingressPort !== undefined && { ingressPort }),
      ...(instanceId !== undefined && { instanceId }),
      ...(projectId !== undefined && { projectId }),
      ...(upstream !== undefined && { upstream }),
      answeredBy,
      outcome,
      status,
      ...(reason !== undefined && { reason }),
      span: ended - began,
    }
  }
}

function inOrder(slots: readonly Slot[]): readonly Slot[] {
  return slots.toSorted((one, other) => one.sequence - other.sequence)
}

function newest(slots: Slots, after: Count, most: Count): readonly Slot[] {
  const newer = inOrder(slots.all().filter(({ sequence }) => sequence > after))
  return newer.slice(Math.max(0, newer.length - most))
}

function emptySlot(): Slot {
  return {
    sequence: 0,
    requestId: '',
    method: '',
    target: '',
    scope: '',
    sourceIp: '',
    sourceMac: undefined,
    ingressPort: undefined,
    instanceId: undefined,
    projectId: undefined,
    upstream: undefined,
    answeredBy: 'nobody',
    outcome: 'left',
    status: 0,
    reason: undefined,
    began: 0.5,
    ended: 0.5,
  }
}
