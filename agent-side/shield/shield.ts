/** What does a request of a known guest get: its document, a token, or a refusal? */
import type { Clock, Count, Seconds } from '../../lib/runtime/clock.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import { routersPassed } from '../../lib/wire/hop-limit.ts'
import type { GuestFacts } from '../peers/guest-facts.ts'
import type { LookupKey, Resolution } from '../resolve/resolution.ts'
import {
  documentClasses,
  documentClassesOf,
  isTokenTarget,
  type DocumentClass,
} from '../../lib/shield/document-class.ts'
import { judge, type Finding } from './judge.ts'
import { shields } from '../../lib/shield/shields.ts'
import type { NetworkTags } from './network-tags.ts'
import { GuestPolicy, type PolicyRules, type SubjectIds } from './policy.ts'
import type { SeenRequest } from './readiness.ts'
import { isSealable, type Seals } from './seals.ts'
import { parseTokenLife, type TokenHolder, type TokenKeys, type TokenState } from './tokens.ts'

type Found = Resolution & { readonly kind: 'found' }

/** A request whose guest is known. */
export interface ShieldedRequest {
  readonly method: string
  readonly target: string
  readonly facts: GuestFacts
  readonly key: LookupKey
  readonly resolution: Found
}

/** What of a request is known when its answer is. */
export type AnsweredRequest = Pick<ShieldedRequest, 'method' | 'target' | 'key' | 'resolution'>

/** What follows for a request. */
export type ShieldOutcome = {
  readonly findings: readonly Finding[]
  /** How far its answer may go; absent where nothing limits that, or where no proxy of ours could. */
  readonly hopLimit?: Count
} & (
  | { readonly kind: 'forward'; readonly classes: readonly DocumentClass[] }
  | { readonly kind: 'refuse'; readonly reason: ReasonCode }
  | { readonly kind: 'token'; readonly token: string; readonly life: Seconds }
)

/** Callbacks for metrics and reports. */
export interface ShieldObserver {
  judged(seen: SeenRequest): void
  tokenMade(): void
  tokenLooked(state: TokenState): void
}

/** Requests of one program for one class of documents. */
export interface LeasedRequests {
  /** User-Agent. */
  readonly agent: string
  /** The last one's. */
  readonly target: string
  readonly requests: Count
}

export interface ShieldOptions {
  readonly clock: Clock
  readonly keys: () => TokenKeys
  readonly rules: () => PolicyRules
  readonly tags: Pick<NetworkTags, 'actionsOf'>
  readonly seals: Seals
  readonly observer: ShieldObserver
}

/** Judges requests by the policy, and gives tokens. */
export class GuestShield {
  readonly #options: ShieldOptions

  constructor(options: ShieldOptions) {
    this.#options = options
  }

  /** To be called once for each request that would go to compute. */
  outcome(request: ShieldedRequest): ShieldOutcome {
    const policy = this.policyOf(request.resolution.identity, request.key.scope)
    return isTokenTarget(request.target) && usesTokens(policy)
      ? this.#tokenOutcome(request, policy)
      : this.#documentOutcome(request, policy)
  }

  policyOf(identity: SubjectIds, scope: Scope): GuestPolicy {
    const { rules, tags } = this.#options
    const { networkId, networkTags } = identity
    return new GuestPolicy(rules(), identity, scope, tags.actionsOf(networkId, networkTags))
  }

  /** Whether a worker may serve the guest without the agent, as far as the request is plain: nothing is enforced for it. */
  mayLease(identity: SubjectIds, scope: Scope): boolean {
    const policy = this.policyOf(identity, scope)
    const isEnforced = shields.some((shield) =>
      documentClasses.some((one) => policy.action(shield, one).value === 'enforce'),
    )
    return !isEnforced && policy.seal.value === 'never'
  }

  /** Plain requests without a token that a worker served under a lease: nothing was enforced for the guest. */
  noteLeased(
    identity: SubjectIds,
    scope: Scope,
    { agent, target, requests }: LeasedRequests,
  ): void {
    const policy = this.policyOf(identity, scope)
    const classes = documentClassesOf(target)
    const findings = classes.flatMap((documents): readonly Finding[] => {
      const { value, rule } = policy.action('token', documents)
      if (value === 'off') return []
      // A policy that came since would refuse it, but it was served.
      const action = 'observe'
      return [{ shield: 'token', documents, action, reason: 'token_missing', rule }]
    })
    const seen = { identity, scope, policy, agent, target, requests, classes, findings }
    this.#options.observer.judged(seen)
  }

  #documentOutcome(request: ShieldedRequest, policy: GuestPolicy): ShieldOutcome {
    const { observer } = this.#options
    const classes = documentClassesOf(request.target)
    const findings = this.#judge(request, policy, classes)
    observer.judged(seenRequest(request, policy, classes, findings))
    const enforced = findings.find(({ action }) => action === 'enforce')
    if (enforced !== undefined) return { kind: 'refuse', reason: enforced.reason, findings }
    if (this.#isSealed(request, policy, classes)) {
      return { kind: 'refuse', reason: 'document_sealed', findings }
    }
    const isLimited = classes.some((one) => policy.action('forwarded', one).value === 'enforce')
    // A container can raise its own hop limit, but not that of our answers.
    const hopLimit = isLimited ? answerHopLimit(request, policy) : undefined
    return { kind: 'forward', classes, findings, ...(hopLimit !== undefined && { hopLimit }) }
  }

  /**
   * The whole answer to a request was handed on. One that compute broke off, or that the guest left, is none: a window that began with
   * it could end before the guest has its documents once.
   */
  answered({ method, target, key, resolution }: AnsweredRequest, status: number): void {
    const { identity } = resolution
    const seal = this.policyOf(identity, key.scope).seal.value
    // HEAD brings no document.
    if (seal === 'never' || status !== 200 || method === 'HEAD') return
    if (!isSealable(documentClassesOf(target), method)) return
    this.#options.seals.note('fetch', identity.instanceId, seal)
  }

  #isSealed(
    { method, resolution }: ShieldedRequest,
    policy: GuestPolicy,
    classes: readonly DocumentClass[],
  ): boolean {
    const seal = policy.seal.value
    if (seal === 'never') return false
    const { seals } = this.#options
    const { instanceId } = resolution.identity
    seals.note('first_request', instanceId, seal)
    return isSealable(classes, method) && seals.isSealed(instanceId, seal)
  }

  /** @see https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-returns.html */
  #tokenOutcome(request: ShieldedRequest, policy: GuestPolicy): ShieldOutcome {
    const { clock, keys, observer } = this.#options
    const { method, facts, key, resolution } = request
    const refuse = (reason: ReasonCode, findings: readonly Finding[] = []): ShieldOutcome => ({
      kind: 'refuse',
      reason,
      findings,
    })
    if (method !== 'PUT') return refuse('method_not_supported')
    if (facts.isForwarded) return refuse('token_forwarded')
    // The answer would not reach it. A client that is refused goes on as it did before there were tokens.
    if (isTooFar(request, policy)) return refuse('forwarded_in_guest')
    const findings = this.#judge(request, policy, documentClasses)
    // A token opens what the other shields leave open: where they leave nothing open, there is none.
    for (const shield of shields) {
      const ofShield = findings.filter((one) => one.shield === shield && one.action === 'enforce')
      const [first] = ofShield
      if (shield === 'token' || first === undefined) continue
      if (ofShield.length === documentClasses.length) return refuse(first.reason, ofShield)
    }
    const life = parseTokenLife(facts.tokenTtl)
    if (life === undefined) return refuse('token_life_invalid')
    const holder: TokenHolder = { identity: resolution.identity, key }
    const token = keys().make(holder, clock.wallTime(), life)
    observer.tokenMade()
    const hopLimit = answerHopLimit(request, policy)
    return { kind: 'token', token, life, findings: [], ...(hopLimit !== undefined && { hopLimit }) }
  }

  #judge(
    request: ShieldedRequest,
    policy: GuestPolicy,
    classes: readonly DocumentClass[],
  ): readonly Finding[] {
    const { rules } = this.#options
    const { facts, resolution } = request
    const { hostNames } = rules()
    const token = (): TokenState | 'missing' => this.#tokenState(request)
    return judge({ policy, facts, basis: resolution.basis, hostNames, token }, classes)
  }

  #tokenState({ target, facts, key, resolution }: ShieldedRequest): TokenState | 'missing' {
    // A request for a token has none yet.
    if (facts.token === undefined || isTokenTarget(target)) return 'missing'
    const { clock, keys, observer } = this.#options
    const holder: TokenHolder = { identity: resolution.identity, key }
    const state = keys().verify(facts.token, holder, clock.wallTime())
    observer.tokenLooked(state)
    return state
  }
}

function seenRequest(
  { facts, target, key, resolution }: ShieldedRequest,
  policy: GuestPolicy,
  classes: readonly DocumentClass[],
  findings: readonly Finding[],
): SeenRequest {
  const { identity } = resolution
  const { agent } = facts
  return { identity, scope: key.scope, policy, agent, target, requests: 1, classes, findings }
}

function usesTokens(policy: GuestPolicy): boolean {
  return documentClasses.some((one) => policy.action('token', one).value !== 'off')
}

function isTooFar(
  { facts: { isOfOurProxy, arrival }, resolution: { basis } }: ShieldedRequest,
  { hopLimit }: GuestPolicy,
): boolean {
  if (!isOfOurProxy || arrival === undefined || basis === 'routed') return false
  return routersPassed(arrival.hopLimit) >= hopLimit.value
}

/** For a guest behind another VM, so many hops more as its request took. */
function answerHopLimit(
  { facts: { isOfOurProxy, arrival }, resolution: { basis } }: ShieldedRequest,
  { hopLimit }: GuestPolicy,
): Count | undefined {
  if (!isOfOurProxy) return undefined
  if (basis !== 'routed') return hopLimit.value
  return arrival && Math.min(64, hopLimit.value + routersPassed(arrival.hopLimit))
}
