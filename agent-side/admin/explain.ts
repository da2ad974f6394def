/** Why did a guest get what it got? Runs the path of a request with a recorder, or reads what was recorded. */
import { Cancellation } from '../../lib/runtime/cancellation.ts'
import type { Clock, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../lib/runtime/errors.ts'
import { reasonRow, type ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { ExplainStep, Explanation } from '../../lib/operator/explanation.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { Upstreams } from '../compute/upstreams.ts'
import type { Decision, DecisionLog } from '../requests/decision-log.ts'
import { requireSourceMac, type Peer } from '../peers/lookup-key.ts'
import type { SourceMacPolicy } from '../resolve/identity-policy.ts'
import type { LookupKey, Resolution } from '../resolve/resolution.ts'
import type { Resolver } from '../resolve/resolver.ts'
import { shownPort, shownVerdict } from '../resolve/operator-view.ts'
import type { GuestShield } from '../shield/shield.ts'
import { shownFindings, shownPolicy } from '../shield/operator-view.ts'
import { Trace } from '../resolve/trace.ts'
import type { Fence } from '../served-scopes/fence.ts'

export interface ExplainerOptions {
  readonly resolver: Resolver
  readonly sourceMac: SourceMacPolicy
  /** Absent where workers may send requests for every scope. */
  readonly fence?: Pick<Fence, 'serves' | 'admits'> | undefined
  readonly upstreams: Upstreams
  readonly shield: Pick<GuestShield, 'policyOf'>
  readonly decisions: DecisionLog
  readonly clock: Clock
  /** How long the question may take. */
  readonly timeout: Milliseconds
}

function shownResolution(resolution: Resolution): Readonly<Record<string, unknown>> {
  const { evidence, freshness } = resolution
  const { why, networkIds, ingressNetworkId, further, macAddress } = evidence
  const shown = {
    ...shownVerdict(resolution),
    freshness,
    evidence: {
      why,
      networkIds,
      ...(ingressNetworkId !== undefined && { ingressNetworkId }),
      macAddress,
      byAddress: evidence.byAddress.map(shownPort),
      byMac: evidence.byMac.map(shownPort),
      ...(further && { further: further.map(shownPort) }),
    },
  }
  return shown
}

function refusal(code: ReasonCode, cause: string): Readonly<Record<string, unknown>> {
  return { kind: 'refused', reason: code, status: reasonRow(code).status, evidence: { why: cause } }
}

/** Answers the operator's question "why?". */
export class Explainer {
  readonly #options: ExplainerOptions

  constructor(options: ExplainerOptions) {
    this.#options = options
  }

  /** Resolves a key as for a guest, caches included, and adds which upstream would be used. */
  async explainKey(key: LookupKey): Promise<Explanation> {
    const { resolver, upstreams, clock, timeout } = this.#options
    const trace = new Trace(clock)
    trace.note('received', {
      scope: scopeText(key.scope),
      sourceIp: key.sourceIp,
      sourceMac: key.sourceMac ?? 'not known',
      ingressPort: key.ingressPort ?? 'not known',
    })
    // With an ingress it is a request of our own proxy, without one a request of a foreign proxy.
    const peer: Peer =
      key.ingressPort === undefined ? { kind: 'neutron', flavour: 'ml2' } : { kind: 'overlapd' }
    const { fence } = this.#options
    const scope = scopeText(key.scope)
    const isAdmitted = fence?.admits(scope) ?? true
    if (fence) {
      const served = fence.serves(scope) ? 'reported' : 'not reported'
      trace.note('served by this host', { served, workers: isAdmitted ? 'answered' : 'refused' })
    }
    const cancellation = new Cancellation()
    const cancel = clock.schedule(timeout, () =>
      cancellation.cancel(new MetadataError('directory_timeout', 'Cannot explain in time')),
    )
    try {
      if (!isAdmitted && peer.kind === 'overlapd') {
        throw new MetadataError('scope_not_served', 'This host does not serve the scope')
      }
      requireSourceMac(this.#options.sourceMac, peer, key)
      const options = { signal: cancellation.signal, trace }
      const resolution = await resolver.resolve(key, options)
      if (resolution.kind === 'found') {
        const policy = this.#options.shield.policyOf(resolution.identity, key.scope)
        trace.note('shield', shownPolicy(policy))
        const [first] = upstreams.inOrder()
        trace.note('compute', {
          upstream: first?.url,
          state: first?.health.state,
          secret: first?.secretSlot,
        })
      }
      return { steps: trace.steps, verdict: shownResolution(resolution) }
    } catch (thrown) {
      if (!(thrown instanceof MetadataError)) throw thrown
      return { steps: trace.steps, verdict: refusal(thrown.code, causeText(thrown)) }
    } finally {
      cancel()
    }
  }

  /** @returns `undefined` when the request is not among the latest */
  explainRequest(requestId: string): Explanation | undefined {
    const decision = this.#options.decisions.find(requestId)
    return decision && explainedDecision(decision, this.#options.upstreams)
  }
}

/** A decision as steps, with the time at which each was over. */
function explainedDecision(decision: Decision, upstreams: Upstreams): Explanation {
  const { key, resolution, upstream, reason, status, span, outcome } = decision
  const { resolvedAfter = 0, signingAfter = 0, sentAfter } = decision
  const steps: ExplainStep[] = []
  const note = (step: string, detail: ExplainStep['detail'], ms: Milliseconds): void => {
    steps.push({ step, detail, ms: rounded(ms) })
  }
  note(
    'received',
    {
      at: new Date(decision.at).toISOString(),
      by: decision.peer.kind,
      ...(decision.peer.kind === 'overlapd' &&
        decision.peer.proxy && { proxy: decision.peer.proxy.name }),
      method: decision.method,
      target: decision.target,
      ...(key && {
        scope: scopeText(key.scope),
        sourceIp: key.sourceIp,
        sourceMac: key.sourceMac ?? 'not known',
        ingressPort: key.ingressPort ?? 'not known',
      }),
    },
    0,
  )
  if (resolution !== undefined) {
    note('resolved', { age: decision.mappingAge, ...shownVerdict(resolution) }, resolvedAfter)
  }
  if (decision.findings.length > 0) {
    note('shield', shownFindings(decision.findings), resolvedAfter)
  }
  if (sentAfter !== undefined) {
    // Waiting for a turn at compute, then signing; a request whose answer was shared does neither.
    const waited = rounded(signingAfter - resolvedAfter)
    note('signature', { waited, took: rounded(sentAfter - signingAfter) }, sentAfter)
  }
  if (upstream !== undefined) {
    const { attempts } = decision
    note('compute', { upstream: upstreams.all[upstream]?.url, attempts }, span)
  }
  note('answered', { outcome, status, ...(reason && { reason }) }, span)
  const verdict = {
    ...(resolution ? shownResolution(resolution) : { kind: 'refused' }),
    ...(reason && { kind: 'refused', reason }),
    outcome,
    status,
  }
  return { steps, verdict }
}

function rounded(ms: Milliseconds): Milliseconds {
  return Math.round(ms * 1_000) / 1_000
}
