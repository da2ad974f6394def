/** Which endpoint answers, with which secret, and what is tried when one does not? */
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../lib/runtime/errors.ts'
import { isOverloadStatus, type AdaptiveLimit } from '../../lib/admission/adaptive-limit.ts'
import type { FairGate } from '../../lib/admission/fair-gate.ts'
import type { Seat } from '../../lib/admission/fair-queue.ts'
import { attempt, type AttemptOutcome, type ComputeFailure } from './attempt.ts'
import {
  isRepeatable,
  relayKept,
  type ComputeRequest,
  type Downstream,
  type ForwardTimes,
  type KeptAnswer,
} from './exchange.ts'
import { documentKind } from './document-kind.ts'
import { isGatewayStatus, noteHealth } from './note-health.ts'
import { pauseUnlessGone, RestartRetry, type Waited } from './restart-retry.ts'
import type { SecretAcceptance } from './secret-acceptance.ts'
import type { RequestSigner, SecretSlot, SignedIdentity } from './signed-headers.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

export interface ComputeClientOptions {
  readonly upstreams: Upstreams
  readonly signer: RequestSigner
  readonly secrets: SecretAcceptance
  readonly clock: Clock
  /** How many requests may be on their way to all upstreams together; is given how they fare. */
  readonly limit: AdaptiveLimit
  /** Where those wait that are more. */
  readonly gate: FairGate
  /** How long a request waits for endpoints that all refuse connections; 0: not at all. */
  readonly timeoutRestart: Milliseconds
  readonly random?: () => number
  readonly observer?: ComputeObserver
}

/** Callbacks for metrics of each attempt. */
export interface ComputeObserver {
  /** @param outcome a status class such as `2xx`, a reason code, or `left` */
  attempted(upstream: Count, outcome: string, span: Milliseconds): void
}

/** One request of a guest whose identity is known. */
export interface ForwardCall {
  readonly identity: SignedIdentity
  readonly request: ComputeRequest
  readonly downstream: Downstream
  /** Keeps a 404 or 403 back, since the identity might be out of date. */
  readonly mayReconsider: boolean
  /** The instance seems to be booting: it goes first where there is a queue. */
  readonly isBooting: boolean
  /** Keeps a 200 back, unless it is too large, for those who want the same. */
  readonly keepsGood?: boolean
  readonly times?: ForwardTimes | undefined
}

/** Whatever gets an answer for a request whose sender is known. */
export interface Forwarder {
  /** @throws {MetadataError} overloaded, shutting_down; also by a rejected promise */
  forward(call: ForwardCall): Promise<Forwarded>
}

interface Tried {
  /** The upstream that had the last word, by its place in the configuration; none when none was tried. */
  readonly upstream: Count | undefined
  readonly attempts: Count
}

/** How a request ended. */
export type Forwarded = Tried &
  (
    | { readonly kind: 'relayed'; readonly status: number }
    /** Only when the call wanted it. */
    | { readonly kind: 'kept'; readonly status: number; readonly answer: KeptAnswer }
    | {
        readonly kind: 'failed'
        readonly code: ComputeFailure
        readonly cause: Error
        readonly cutOff: boolean
      }
    | { readonly kind: 'left' }
  )

/** Over which connections a request goes to an endpoint. */
interface Connecting {
  /** What was sent and not answered may be sent again. */
  readonly mayRepeat: boolean
  /** Not over one that was kept. */
  readonly isAfresh: boolean
}

function isDoubtful(status: number): boolean {
  return status === 404 || status === 403
}

function outcomeLabel(outcome: AttemptOutcome): string {
  if (outcome.kind === 'left') return 'left'
  return outcome.kind === 'failed' ? outcome.code : `${Math.floor(outcome.status / 100)}xx`
}

/** Sends guests' requests to the compute metadata API. */
export class ComputeClient implements Forwarder {
  readonly #options: ComputeClientOptions
  readonly #restartRetry: RestartRetry

  constructor(options: ComputeClientOptions) {
    const { clock, timeoutRestart: limit, random = Math.random } = options
    this.#options = options
    this.#restartRetry = new RestartRetry({ clock, limit, random })
  }

  /**
   * Only a GET or HEAD without a body is ever sent twice: to the next endpoint when one cannot be reached or answers 502,
   * 503 or 504, to the same one with the other secret after a 403, and to all of them again while they seem to be
   * restarting. The last answer is relayed as it is.
   * @throws {MetadataError} overloaded, shutting_down
   */
  forward(call: ForwardCall, waited?: Waited): Promise<Forwarded> {
    const { gate } = this.#options
    const { projectId, instanceId } = call.identity
    this.#checkOpen()
    const seat = gate.seat(projectId, instanceId, call.isBooting)
    return gate.tryEnter(seat)
      ? this.#forwardFrom(seat, call, waited)
      : this.#forwardLater(seat, call, waited)
  }

  async #forwardLater(
    seat: Seat,
    call: ForwardCall,
    waited: Waited | undefined,
  ): Promise<Forwarded> {
    const { gate } = this.#options
    const { downstream } = call
    const outcome = downstream.isGone ? 'left' : await gate.wait(seat, downstream)
    if (outcome === 'entered') return this.#forwardFrom(seat, call, waited)
    return { kind: 'left', upstream: undefined, attempts: 0 }
  }

  #checkOpen(): void {
    if (!this.#options.upstreams.isClosed) return
    throw new MetadataError('shutting_down', 'Cannot forward: closing')
  }

  /** With a slot taken, which it gives back. */
  async #forwardFrom(
    seat: Seat,
    call: ForwardCall,
    waited: Waited | undefined,
  ): Promise<Forwarded> {
    const { upstreams, gate } = this.#options
    const attemptsBefore = waited?.attempts ?? 0
    let fallback: (Forwarded & { readonly kind: 'kept' }) | undefined
    let last: Forwarded | undefined
    let cutOffs: Count = 0
    try {
      this.#checkOpen()
      const order = upstreams.inOrder()
      const route = isRepeatable(call.request) ? [...order] : order.slice(0, 1)
      for (const [position, upstream] of route.entries()) {
        const hasMore = position < route.length - 1
        const outcome = await this.#tryUpstream(upstream, call, hasMore, cutOffs)
        const counted = { upstream: upstream.index, attempts: attemptsBefore + position + 1 }
        if (outcome.kind === 'relayed') {
          // Field by field: a copy of whatever an object holds takes far longer.
          const { kind, status } = outcome
          return { kind, status, upstream: counted.upstream, attempts: counted.attempts }
        }
        if (outcome.kind === 'failed' && outcome.isUnanswered) {
          cutOffs += 1
          // Maybe only a connection that was too old: the endpoint is better than those that look down.
          if (outcome.wasReused) insertBeforeDown(route, position + 1, upstream)
        }
        last = { ...outcome, ...counted }
        if (last.kind === 'left') return last
        if (last.kind === 'kept') {
          if (!isGatewayStatus(last.status)) return last
          fallback = last
        } else if (
          last.kind === 'failed' &&
          (last.cutOff || last.code === 'compute_timeout' || cutOffs > 1)
        ) {
          return last
        }
      }
    } finally {
      gate.leave(seat)
    }
    if (last === undefined) throw new TypeError('There is no compute upstream')
    if (fallback === undefined) return this.#forwardAgain(call, last, waited)
    relayKept(fallback.answer, call.downstream)
    const { upstream, attempts } = last
    return { kind: 'relayed', status: fallback.status, upstream, attempts }
  }

  /** Once more after a pause, in which others have the slot, when no endpoint could be reached and that will pass. */
  async #forwardAgain(
    call: ForwardCall,
    last: Forwarded,
    waited: Waited | undefined,
  ): Promise<Forwarded> {
    const { clock, upstreams } = this.#options
    if (last.kind !== 'failed' || !isRepeatable(call.request)) return last
    const pause = this.#restartRetry.pauseAfter(last, upstreams.silentSince, waited)
    if (pause === undefined) return last
    await pauseUnlessGone(clock, pause.span, call.downstream)
    const { upstream, attempts } = last
    return call.downstream.isGone ? { kind: 'left', upstream, attempts } : this.forward(call, pause)
  }

  /** One endpoint, with the secret it last took and then with the other. */
  async #tryUpstream(
    upstream: Upstream,
    call: ForwardCall,
    hasMore: boolean,
    cutOffs: Count,
  ): Promise<AttemptOutcome> {
    const mayRepeat = !hasMore && cutOffs === 0
    const { signer, secrets } = this.#options
    const slot = upstream.secretSlot
    const other = isRepeatable(call.request) ? signer.otherThan(slot) : undefined
    const keeps = (status: number): boolean =>
      (hasMore && isGatewayStatus(status)) ||
      (call.mayReconsider && isDoubtful(status)) ||
      (call.keepsGood === true && status === 200)
    const first = await this.#send(
      upstream,
      slot,
      call,
      (status) => keeps(status) || (other !== undefined && status === 403),
      { mayRepeat, isAfresh: cutOffs > 0 },
    )
    if (first.kind !== 'kept' || first.status !== 403 || other === undefined) {
      secrets.note(upstream, first, slot)
      return first
    }
    const second = await this.#send(upstream, other, call, keeps, { mayRepeat, isAfresh: true })
    secrets.note(upstream, second, other)
    if (second.kind !== 'failed' || second.cutOff || call.downstream.isGone) return second
    // The refusal is what we have; it explains more than the failure of the second try.
    relayKept(first.answer, call.downstream)
    return { kind: 'relayed', status: first.status, bytes: 0 }
  }

  async #send(
    upstream: Upstream,
    slot: SecretSlot,
    call: ForwardCall,
    keeps: (status: number) => boolean,
    { mayRepeat, isAfresh }: Connecting,
  ): Promise<AttemptOutcome> {
    const { request, downstream, identity, times } = call
    if (times !== undefined) times.signingAt = this.#options.clock.now()
    const headers = this.#options.signer.headersFor(identity, slot)
    // While an upstream looks down, its answers do not show how much the others can take.
    const isUp = upstream.health.state === 'up'
    const once = async (isAfresh: boolean): Promise<AttemptOutcome> => {
      const { clock, observer } = this.#options
      const began = clock.now()
      if (times !== undefined) times.sentAt = began
      // A guest that reads slowly must not make compute look slow: what counts is the head.
      let headAt = began
      const keepsAt = (status: number): boolean => {
        headAt = clock.now()
        return keeps(status)
      }
      const options = { request, headers, downstream, keeps: keepsAt, isAfresh }
      const outcome = await attempt(upstream, options)
      observer?.attempted(upstream.index, outcomeLabel(outcome), clock.now() - began)
      upstream.pace.note((headAt > began ? headAt : clock.now()) - began)
      if (isUp) this.#noteLoad(request, outcome, began, headAt)
      return outcome
    }
    const end = upstream.health.begin()
    upstream.inFlight += 1
    try {
      let outcome = await once(isAfresh)
      // The endpoint may have closed an idle connection in the moment we used it, and others with it: that is no fault of the endpoint.
      // Where there is another, that one is tried: a request at which the application dies is sent twice at most.
      if (isBroken(outcome, mayRepeat) && isRepeatable(request)) outcome = await once(true)
      if (outcome.kind === 'failed' && outcome.isUnanswered) {
        if (outcome.wasReused) return outcome
        const why = causeText(outcome.cause)
        const isOfRequest = this.#options.upstreams.noteCutOff(upstream, identity.instanceId, why)
        return isOfRequest ? { ...outcome, code: 'compute_cut_off' } : outcome
      }
      noteHealth(this.#options.upstreams, upstream, outcome)
      return outcome
    } finally {
      upstream.inFlight -= 1
      end()
    }
  }

  #noteLoad(
    request: ComputeRequest,
    outcome: AttemptOutcome,
    began: MonotonicMilliseconds,
    headAt: MonotonicMilliseconds,
  ): void {
    const { limit } = this.#options
    if (outcome.kind === 'left') return
    if (outcome.kind === 'failed') {
      if (outcome.code === 'compute_timeout') limit.overloaded(began)
    } else if (isOverloadStatus(outcome.status)) {
      limit.overloaded(began)
    } else {
      limit.answered(documentKind(request.target), headAt - began)
    }
  }
}

/** Puts an endpoint behind those that look well, from a place of the route on. */
function insertBeforeDown(route: Upstream[], from: Count, upstream: Upstream): void {
  const down = route.findIndex(({ health }, place) => place >= from && health.state !== 'up')
  route.splice(down < 0 ? route.length : down, 0, upstream)
}

/** @param mayRepeat whether what was sent and not answered may be sent again */
function isBroken(outcome: AttemptOutcome, mayRepeat: boolean): boolean {
  return (
    outcome.kind === 'failed' &&
    (mayRepeat || !outcome.isUnanswered) &&
    outcome.code !== 'compute_timeout' &&
    !outcome.beforeSending &&
    !outcome.cutOff
  )
}
