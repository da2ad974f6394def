/** Which way does a request go: over the agent, or straight to compute under a lease? */
import type { Count } from '../../../lib/runtime/clock.ts'
import type { MetadataError } from '../../../lib/runtime/errors.ts'
import type { ReasonCode } from '../../../lib/runtime/reason-codes.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import type { AgentClient } from '../agent/agent-client.ts'
import type { AnswerReceiver } from '../shared/answer-receiver.ts'
import type { DirectClient, DirectReceiver, DirectUpstream } from './direct-client.ts'
import type { GuestIdentity } from '../shared/guest-identity.ts'
import { longestLeasedUse } from '../../../lib/wire/lease-messages.ts'
import type { ServedCounts } from './served-counts.ts'
import type { SentFacts } from '../guest/sent-facts.ts'
import type { Lease, LeaseStore } from './lease-store.ts'
import type { LeaseChannel } from './lease-channel.ts'
import type { WorkerMetrics } from '../shared/metrics.ts'
import type { ForwardingReport } from '../shared/protocol.ts'

/** A request that is judged and has its body. */
export interface ForwardedRequest {
  readonly method: string
  /** Raw, as the guest sent it. */
  readonly target: string
  readonly body: Buffer | null
  readonly requestId: string
  /** Of its own headers, what the agent needs. */
  readonly facts: SentFacts
}

/** Under what a request goes straight to compute. */
export interface Leased {
  readonly lease: Lease
  readonly upstream: { readonly url: string }
}

/** A request on its way. */
export interface Forwarding {
  /** Absent where it goes over the agent. */
  readonly leased?: Leased | undefined
  /** The receiver can take more. */
  resume(): void
  /** The guest does not wait for the answer any more; the receiver is not called. */
  cancel(): void
}

/** What a worker that may hold leases has. */
export interface DirectPath {
  readonly store: LeaseStore
  readonly channel: LeaseChannel
  readonly client: DirectClient
  readonly served: ServedCounts
}

export interface ForwarderOptions {
  readonly agent: AgentClient
  /** Absent: every request goes over the agent. */
  readonly direct?: DirectPath | undefined
  readonly metrics: WorkerMetrics
}

/**
 * Sends requests of guests on. The agent is always right; a lease is a way around it for a plain GET or HEAD, and whatever
 * does not go smoothly there is sent again over the agent.
 */
export class Forwarder {
  readonly #agent: AgentClient
  readonly #direct: DirectPath | undefined
  readonly #metrics: WorkerMetrics

  constructor(options: ForwarderOptions) {
    this.#agent = options.agent
    this.#direct = options.direct
    this.#metrics = options.metrics
  }

  get leases(): Count {
    return this.#direct?.store.size ?? 0
  }

  /** How many requests are on their way straight to compute, and may be. */
  get directLoad(): { readonly running: Count; readonly limit: Count } {
    const { running = 0, limit = 0 } = this.#direct?.client ?? {}
    return { running, limit }
  }

  /** Which way requests go that a lease may cover, and why. */
  get report(): ForwardingReport {
    if (this.#direct === undefined) return { way: 'agent', why: 'configured' }
    const { store, client } = this.#direct
    if (!store.isFresh) return { way: 'agent', why: 'no_leases' }
    const { reach } = client
    if (reach === undefined) return { way: 'agent', why: 'none_granted' }
    const { failure } = reach
    return failure === undefined
      ? { way: 'compute' }
      : { way: 'agent', why: 'compute_unreached', failure }
  }

  /** Requests wait for a connection to the agent. */
  get isCrowded(): boolean {
    return this.#agent.isCrowded
  }

  send(request: ForwardedRequest, guest: GuestIdentity, receiver: AnswerReceiver): Forwarding {
    const direct = this.#direct
    if (direct === undefined || guest.sourceMac === undefined || !isPlain(request, guest)) {
      return this.sendToAgent(request, guest, receiver)
    }
    const lease = direct.store.find(guest.place, guest.sourceMac)
    const upstream = lease && direct.client.choose(lease.upstreams)
    if (lease === undefined || upstream === undefined) {
      return this.sendToAgent(request, guest, receiver)
    }
    // There is one queue, the agent's: it has the room, knows who is booting, and can name the reason for a refusal.
    if (!direct.client.tryEnter(lease.project)) {
      this.#metrics.directCrowded += 1
      return this.sendToAgent(request, guest, receiver)
    }
    this.#metrics.directRequests += 1
    direct.served.note(lease.id, request.facts.agent, request.target)
    return new DirectForwarding(this, direct, { request, guest, receiver, lease, upstream })
  }

  sendToAgent(
    request: ForwardedRequest,
    guest: GuestIdentity,
    receiver: AnswerReceiver,
  ): Forwarding {
    const { method, target, body, requestId, facts } = request
    const headers = [...guest.headers, ...facts.headers, wireHeaders.requestId, requestId]
    const { listener, address } = guest
    return this.#agent.send({ method, target, headers, body }, receiver, {
      scope: listener.scope,
      address,
    })
  }

  /** Queries whether the agent is ready, for no guest. */
  requestReady(receiver: AnswerReceiver): void {
    const headers = [wireHeaders.canary, '1']
    this.#agent.send({ method: 'GET', target: '/', headers, body: null }, receiver)
  }

  /** A guest has connected. */
  noteGuest(guest: GuestIdentity): void {
    if (guest.sourceMac === undefined) return
    this.#direct?.channel.noteGuest(guest.place, guest.sourceMac)
  }

  /** The guest has been given good data: its next request may be worth a lease. */
  noteServed(guest: GuestIdentity): void {
    const { sourceMac, address: sourceIp, listener, ingressPort } = guest
    if (this.#direct === undefined || sourceMac === undefined || listener.isClosed) return
    const { place } = guest
    if (this.#direct.store.find(place, sourceMac) !== undefined) return
    this.#direct.channel.request(place, {
      scope: listener.description.scope,
      sourceIp,
      sourceMac,
      ...(ingressPort !== undefined && { ingressPort }),
    })
  }

  /** No listener is left for the scope. */
  dropScope(scope: string): void {
    this.#direct?.store.dropScope(scope)
  }

  noteHandedBack(): void {
    this.#metrics.directHandedBack += 1
  }

  close(): void {
    this.#direct?.served.close()
    this.#direct?.channel.close()
    this.#direct?.client.close()
    this.#agent.close()
  }
}

interface DirectAttempt {
  readonly request: ForwardedRequest
  readonly guest: GuestIdentity
  readonly receiver: AnswerReceiver
  readonly lease: Lease
  readonly upstream: DirectUpstream
}

/** A request under a lease, and over the agent if that did not go smoothly. */
class DirectForwarding implements Forwarding, DirectReceiver {
  readonly #forwarder: Forwarder
  readonly #direct: DirectPath
  readonly #attempt: DirectAttempt
  #current: Forwarding | undefined
  #isHandedBack = false
  #isCancelled = false

  constructor(forwarder: Forwarder, direct: DirectPath, attempt: DirectAttempt) {
    this.#forwarder = forwarder
    this.#direct = direct
    this.#attempt = attempt
    const sent = direct.client.send(attempt.upstream, attempt.request, attempt.lease.project, this)
    // It may have failed, and gone another way, before it came back to us.
    this.#current ??= sent
  }

  get leased(): Leased | undefined {
    return this.#isHandedBack ? undefined : this.#attempt
  }

  resume(): void {
    this.#current?.resume()
  }

  cancel(): void {
    this.#isCancelled = true
    this.#current?.cancel()
  }

  handBack(status: number | undefined): void {
    const { request, guest, receiver, lease } = this.#attempt
    if (status === 403 || status === 404) this.#direct.channel.stale(lease)
    if (this.#isCancelled) return
    this.#isHandedBack = true
    this.#forwarder.noteHandedBack()
    this.#current = this.#forwarder.sendToAgent(request, guest, receiver)
  }

  answerHead(status: number, headers: string[], reason: ReasonCode | undefined): void {
    this.#attempt.receiver.answerHead(status, headers, reason)
  }

  answerData(chunk: Buffer): boolean {
    return this.#attempt.receiver.answerData(chunk)
  }

  answerEnd(): void {
    this.#attempt.receiver.answerEnd()
  }

  answerFailed(failure: MetadataError): void {
    this.#attempt.receiver.answerFailed(failure)
  }
}

/** What a lease is for: sending it twice changes nothing (RFC 9110 §9.2.2), and there is nothing that the agent alone can judge. */
function isPlain({ method, target, body, facts }: ForwardedRequest, guest: GuestIdentity): boolean {
  const isRepeatable = body === null && (method === 'GET' || method === 'HEAD')
  if (target.length > longestLeasedUse.target) return false
  return isRepeatable && facts.isPlain && guest.isFromGuestItself
}
