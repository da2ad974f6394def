/** What happens to a request: who sent it, which instance is that, and what does compute answer? */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BootDetector } from '../../lib/admission/boot-detector.ts'
import type { Bytes, Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { reasonRow, type ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { RefusalLog } from '../../lib/observe/refusal-log.ts'
import { keptText } from '../../lib/observe/kept-text.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Forwarded, Forwarder } from '../compute/compute-client.ts'
import {
  isRepeatable,
  relayKept,
  type ComputeRequest,
  type ForwardTimes,
} from '../compute/exchange.ts'
import type { Decision, DecisionLog } from './decision-log.ts'
import { PeerResponse, PeerLeft } from './peer-response.ts'
import type { GuestRateLimits } from './guest-rate-limits.ts'
import { IdentityRecheck, isSameInstance } from './recheck-identity.ts'
import { DelayedRefusals } from './delayed-refusals.ts'
import { readGuestFacts } from '../peers/guest-facts.ts'
import { readLookupKey, readRequestId, requireSourceMac, type Peer } from '../peers/lookup-key.ts'
import { requireScope } from '../peers/proxy-grants.ts'
import type { ProxyTurns } from './proxy-turns.ts'
import { readComputeRequest } from './compute-request.ts'
import { holderOf } from './request-holder.ts'
import type { SourceMacPolicy } from '../resolve/identity-policy.ts'
import type { LookupKey, Resolution } from '../resolve/resolution.ts'
import { shownVerdict } from '../resolve/operator-view.ts'
import type { Resolver } from '../resolve/resolver.ts'
import { giveToken } from '../shield/give-token.ts'
import type { Finding } from '../shield/judge.ts'
import type { GuestShield } from '../shield/shield.ts'
import { UnreadAnswers, type CutOffReason } from './unread-answers.ts'
import type { Fence } from '../served-scopes/fence.ts'

export interface RequestHandlerOptions {
  readonly resolver: Resolver
  readonly sourceMac: SourceMacPolicy
  readonly compute: Forwarder
  readonly shield: Pick<GuestShield, 'outcome' | 'answered'>
  /** For those who show certificates; the others are all of this host. */
  readonly turns: ProxyTurns
  /** For processes of this host. Absent where they may send requests for every scope. */
  readonly fence?: Pick<Fence, 'require'> | undefined
  readonly boots: BootDetector
  readonly rateLimits: GuestRateLimits
  /** Called with every key, since a new MAC for an address ends leases. */
  readonly leases?: { noteKey(key: LookupKey): void } | undefined
  readonly decisions: DecisionLog
  readonly clock: Clock
  readonly logger: Logger
  readonly refusals: RefusalLog
  readonly bodyLimit: Bytes
  /** Whether ports can be looked up, for the canary of the proxy. @default always */
  readonly isReady?: () => boolean
  readonly observer?: { decided(decision: Decision): void; unreadCutOff(why: CutOffReason): void }
}

type Found = Resolution & { readonly kind: 'found' }

/** What is known so far about the request being served. */
interface Serving extends ForwardTimes {
  readonly peer: Peer
  readonly request: IncomingMessage
  readonly response: PeerResponse
  readonly requestId: string
  readonly began: MonotonicMilliseconds
  /** 0 before; so are the times of forwarding. */
  resolvedAt: MonotonicMilliseconds
  key?: LookupKey
  resolution?: Resolution
  findings: readonly Finding[]
  isBooting: boolean
  forwarded?: Forwarded
  /** The code and what it came from, when the answer is ours. */
  refusal?: { readonly code: ReasonCode; readonly thrown?: unknown }
}

const longestShownTarget = 200

/** Serves guests' requests that proxies bring. */
export class RequestHandler {
  readonly #options: RequestHandlerOptions
  readonly #recheck: IdentityRecheck
  readonly #delayedRefusals: DelayedRefusals
  readonly #unread: UnreadAnswers

  constructor(options: RequestHandlerOptions) {
    this.#options = options
    this.#unread = new UnreadAnswers(options)
    this.#recheck = new IdentityRecheck(options.clock)
    this.#delayedRefusals = new DelayedRefusals(options.clock)
  }

  /** Answers one request; never rejects. What `peer` is depends on the listener alone. */
  async handle(peer: Peer, request: IncomingMessage, raw: ServerResponse): Promise<void> {
    if (peer.kind === 'overlapd' && request.headers[wireHeaders.canary] !== undefined) {
      this.#answerCanary(raw, request)
      return
    }
    const requestId = readRequestId(peer, request.headers)
    const response = this.#responseOn(raw, peer, requestId)
    const began = this.#options.clock.now()
    const serving: Serving = {
      peer,
      request,
      response,
      requestId,
      began,
      resolvedAt: 0,
      signingAt: 0,
      sentAt: 0,
      findings: [],
      isBooting: false,
    }
    try {
      await this.#serve(serving)
    } catch (thrown) {
      const code = thrown instanceof MetadataError ? thrown.code : 'internal_error'
      if (!(thrown instanceof PeerLeft)) serving.refusal = { code, thrown }
    }
    if (serving.refusal) {
      const { code, thrown } = serving.refusal
      const retryAfter = thrown instanceof MetadataError ? thrown.retryAfter : undefined
      const isKnown = serving.resolution?.kind === 'found'
      if (!isKnown && this.#delayedRefusals.isLate(peer, serving.key, code)) {
        await this.#delayedRefusals.wait(peer, response.signal)
      }
      response.refuse(code, request.headers.accept, retryAfter)
    }
    this.#conclude(serving)
  }

  /** Our proxy's workers build headers from nothing, so no guest can send this. */
  #answerCanary(raw: ServerResponse, request: IncomingMessage): void {
    request.resume()
    if (this.#options.isReady?.() ?? true) raw.writeHead(204, []).end()
    else
      this.#responseOn(raw, { kind: 'overlapd' }, 'canary').refuse('directory_not_ready', undefined)
  }

  #responseOn(raw: ServerResponse, peer: Peer, requestId: string): PeerResponse {
    const { refusals, observer } = this.#options
    const response: PeerResponse = new PeerResponse(raw, {
      requestId,
      holder: holderOf(peer, undefined),
      unread: this.#unread,
      onCutOff: (why, unreadBytes) => {
        observer?.unreadCutOff(why)
        refusals.write('answer_unread', () => ({
          requestId,
          ...response.holder,
          why,
          unreadBytes,
          ofAll: this.#unread.total,
        }))
      },
    })
    return response
  }

  async #serve(serving: Serving): Promise<void> {
    const { peer, request, response } = serving
    const { rateLimits, leases, turns, fence } = this.#options
    serving.key = readLookupKey(peer, request.rawHeaders)
    response.holder = holderOf(peer, serving.key)
    if (peer.kind === 'overlapd') requireScope(peer.proxy, serving.key.scope)
    const untilServed = fence?.require(peer, serving.key.scope)
    if (untilServed !== undefined) await untilServed
    leases?.noteKey(serving.key)
    rateLimits.checkSource(serving.key)
    requireSourceMac(this.#options.sourceMac, peer, serving.key)
    if (peer.kind === 'neutron' || peer.proxy === undefined) {
      await this.#serveKey(serving, serving.key)
      return
    }
    const endTurn = await turns.enter(response.holder, response)
    if (endTurn === undefined) return
    try {
      await this.#serveKey(serving, serving.key)
    } finally {
      endTurn()
    }
  }

  async #serveKey(serving: Serving, key: LookupKey): Promise<void> {
    const { request, response } = serving
    const { rateLimits } = this.#options
    const computeRequest = await readComputeRequest(request, this.#options.bodyLimit)
    const resolving = this.#options.resolver.resolve(key, response)
    const resolution = resolving instanceof Promise ? await resolving : resolving
    serving.resolvedAt = this.#options.clock.now()
    serving.resolution = resolution
    if (resolution.kind !== 'found') {
      rateLimits.noteUnresolved(key)
      serving.refusal = { code: resolution.reason }
      return
    }
    const { instanceId } = resolution.identity
    serving.isBooting = this.#options.boots.noteRequest(instanceId)
    rateLimits.checkInstance(instanceId, serving.isBooting)
    if (this.#isPassed(serving, key, resolution, computeRequest)) {
      await this.#forward(serving, key, resolution, computeRequest)
    }
  }

  /** @returns false when the shield has an answer of its own */
  #isPassed(
    serving: Serving,
    key: LookupKey,
    resolution: Found,
    { method, target }: ComputeRequest,
  ): boolean {
    const { peer, request, response } = serving
    const facts = readGuestFacts(peer, request.rawHeaders)
    const outcome = this.#options.shield.outcome({ method, target, facts, key, resolution })
    serving.findings = outcome.findings
    response.hopLimit = outcome.hopLimit
    if (outcome.kind === 'refuse') serving.refusal = { code: outcome.reason }
    else if (outcome.kind === 'token') giveToken(response, outcome)
    return outcome.kind === 'forward'
  }

  async #forward(
    serving: Serving,
    key: LookupKey,
    resolution: Found,
    request: ComputeRequest,
  ): Promise<void> {
    const { compute } = this.#options
    const { response: downstream, isBooting } = serving
    let { identity } = resolution
    const mayReconsider = isRepeatable(request) && this.#recheck.isDue(resolution)
    const call = { identity, request, downstream, mayReconsider, isBooting, times: serving }
    let forwarded = await compute.forward(call)
    if (forwarded.kind === 'kept') {
      const { answer } = forwarded
      const again = await this.#reconsidered(key, serving)
      if (again === undefined || isSameInstance(again, resolution)) {
        relayKept(answer, downstream)
      } else if (again.kind === 'found') {
        serving.resolution = again
        // Another guest has another policy, and other tokens.
        if (!this.#isPassed(serving, key, again, request)) return
        identity = again.identity
        forwarded = await compute.forward({ ...call, identity, mayReconsider: false })
      } else {
        serving.resolution = again
        serving.refusal = { code: again.reason }
        return
      }
    }
    serving.forwarded = forwarded
    if (forwarded.kind === 'relayed') {
      const { method, target } = request
      const found = serving.resolution?.kind === 'found' ? serving.resolution : resolution
      this.#options.shield.answered({ method, target, key, resolution: found }, forwarded.status)
    }
    if (forwarded.kind === 'relayed' && forwarded.attempts > 0) {
      this.#recheck.noteAnswer(identity, request.target, forwarded.status)
    } else if (forwarded.kind === 'failed') {
      serving.refusal = { code: forwarded.code, thrown: forwarded.cause }
    }
  }

  /** A fresh verdict, or `undefined` when it cannot be had: then compute's answer is the best there is. */
  async #reconsidered(key: LookupKey, serving: Serving): Promise<Resolution | undefined> {
    const { resolver } = this.#options
    try {
      return await resolver.resolve(key, { signal: serving.response.signal, freshness: 'fresh' })
    } catch (thrown) {
      if (thrown instanceof MetadataError) return undefined
      throw thrown
    }
  }

  #conclude(serving: Serving): void {
    const { decisions, observer, clock } = this.#options
    const { peer, request, requestId, key, resolution, findings, forwarded, response, refusal } =
      serving
    const { method = '', url: target = '' } = request
    const isUnread = response.isCutOff
    const isCutOff = isUnread || (forwarded?.kind === 'failed' && forwarded.cutOff)
    const outcome = isCutOff
      ? 'cut_off'
      : response.isGone
        ? 'left'
        : refusal
          ? 'refused'
          : 'relayed'
    const decision: Decision = {
      requestId,
      at: clock.wallTime(),
      peer,
      method,
      target: target.length > longestShownTarget ? keptText(target, longestShownTarget) : target,
      key,
      resolution,
      findings,
      mappingAge: resolution === undefined ? 0 : Math.max(0, serving.began - resolution.asOf),
      outcome,
      status: response.status,
      reason: refusal?.code ?? (isUnread ? 'answer_unread' : undefined),
      upstream: forwarded?.upstream,
      attempts: forwarded?.attempts ?? 0,
      resolvedAfter: after(serving, serving.resolvedAt),
      signingAfter: after(serving, serving.signingAt),
      sentAfter: after(serving, serving.sentAt),
      span: clock.now() - serving.began,
    }
    decisions.add(decision)
    observer?.decided(decision)
    if (refusal && outcome !== 'left') this.#log(decision, refusal.code, refusal.thrown)
  }

  #log(decision: Decision, code: ReasonCode, thrown: unknown): void {
    const { refusals, logger } = this.#options
    const { requestId, key, resolution, upstream, span } = decision
    refusals.write(code, () => ({
      requestId,
      fault: reasonRow(code).fault,
      ...(key && {
        ...key.scope,
        sourceIp: key.sourceIp,
        sourceMac: key.sourceMac,
        ingressPort: key.ingressPort,
      }),
      ...(resolution && { resolution: shownVerdict(resolution) }),
      ...(thrown !== undefined && { cause: causeText(thrown) }),
      ...(thrown instanceof MetadataError && { details: thrown.details }),
      ...(upstream !== undefined && { upstream }),
      span,
    }))
    if (code === 'internal_error' && thrown instanceof Error) {
      logger.error({ requestId, stack: thrown.stack }, 'Defect while serving a request')
    }
  }
}

function after({ began }: Serving, at: MonotonicMilliseconds): Milliseconds | undefined {
  return at === 0 ? undefined : at - began
}
