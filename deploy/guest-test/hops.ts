/** Where was the time of one request spent, from the guest to compute? */
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import type { ExplainStep, Explanation } from '../../lib/operator/explanation.ts'
import { isReasonCode, reasonRow } from '../../lib/runtime/reason-codes.ts'

/** In the order in which a request passes them. */
export const hopNames = [
  'network',
  'redirect',
  'worker',
  'agent',
  'directory',
  'signature',
  'compute',
] as const

/** One of {@link hopNames}. */
export type HopName = (typeof hopNames)[number]

/** One hop of a request. Times are of the hop alone, so that they add up. */
export interface Hop {
  readonly hop: HopName
  /** `unused` under a lease, which leaves hops out; `unknown` where the request did not get so far. */
  readonly state: 'ok' | 'failed' | 'unused' | 'unknown'
  readonly ms?: Milliseconds
  readonly detail?: string
}

/** What is known of a request. */
export interface MeasuredRequest {
  /** As the guest sees it. */
  readonly connected?: Milliseconds | undefined
  readonly answered?: Milliseconds | undefined
  readonly reason?: string | undefined
  readonly status?: number | undefined
  /** The proxy's and the agent's word, by the request's id. */
  readonly proxy?: Explanation | undefined
  readonly agent?: Explanation | undefined
  /** Where the guest did not send the request itself: how its namespace is served. */
  readonly served?: ServedPlace | undefined
}

/** A namespace on `/status` of the proxy. */
export interface ServedPlace {
  readonly netns: string
  readonly state: string
  /** Absent where nothing is redirected. */
  readonly interception?: string | undefined
}

type Measure = Partial<Pick<Hop, 'ms' | 'detail' | 'state'>>

/** Every hop, those that were not reached included. */
export function hopsOf(request: MeasuredRequest): readonly Hop[] {
  const measured: Partial<Record<HopName, Measure>> = {
    ...guestHops(request),
    ...(stepOf(request.proxy, 'lease') === undefined ? agentHops(request) : leaseHops(request)),
  }
  const failed = failedHop(request)
  return hopNames.map((hop) => {
    const { ms, detail, state } = measured[hop] ?? {}
    const isReached = ms !== undefined || state !== undefined
    return {
      hop,
      state: hop === failed ? 'failed' : (state ?? (isReached ? 'ok' : 'unknown')),
      ...(ms !== undefined && { ms: rounded(ms) }),
      ...(detail !== undefined && { detail }),
    }
  })
}

function guestHops(request: MeasuredRequest): Partial<Record<HopName, Measure>> {
  const { connected, answered, served } = request
  if (served !== undefined) return servedHops(served)
  const worker = wholeOfWorker(request)
  const behind = wholeOfAgent(request) ?? 0
  if (connected === undefined) return {}
  if (answered === undefined || worker === undefined) return { network: { ms: connected } }
  const before = answered - worker
  // What the kernel measures is a mean: it cannot be more than there was.
  const network = Math.min(connected, Math.max(0, before))
  return {
    network: { ms: network },
    // Between the clocks of two processes: what this one waited for its turn is in it.
    redirect: { ms: before - network, detail: 'to the worker and back, this command included' },
    worker: { ms: worker - behind },
  }
}

/** What the proxy reports of the way to it, on which nothing was sent. */
function servedHops({
  netns,
  state,
  interception,
}: ServedPlace): Partial<Record<HopName, Measure>> {
  const isServing = state === 'serving'
  const isRedirected = interception === undefined || interception === 'applied'
  return {
    network: { state: 'unknown', detail: 'only the guest itself can send over it' },
    redirect: {
      state: isRedirected ? 'ok' : 'failed',
      detail: interception === undefined ? 'none is needed' : `${interception} in ${netns}`,
    },
    worker: { state: isServing ? 'ok' : 'failed', detail: `${state} in ${netns}` },
  }
}

function agentHops(request: MeasuredRequest): Partial<Record<HopName, Measure>> {
  const { agent } = request
  const whole = wholeOfAgent(request)
  if (whole === undefined) return {}
  const resolved = stepOf(agent, 'resolved')
  const signed = stepOf(agent, 'signature')
  const directory = resolved?.ms
  const signature = numberOf(signed, 'took')
  const compute = signed === undefined ? undefined : Math.max(0, whole - signed.ms)
  return {
    agent: { ms: whole - (directory ?? 0) - (signature ?? 0) - (compute ?? 0) },
    ...(directory !== undefined && { directory: measure(directory, resolved, 'basis') }),
    ...(signature !== undefined && { signature: { ms: signature } }),
    ...(compute !== undefined && {
      compute: measure(compute, stepOf(agent, 'compute'), 'upstream'),
    }),
  }
}

/** The worker sends a request under a lease straight to compute: the agent has done its part before. */
function leaseHops(request: MeasuredRequest): Partial<Record<HopName, Measure>> {
  const unused: Measure = { state: 'unused', detail: 'leased' }
  return {
    worker: { state: 'ok' },
    agent: unused,
    directory: unused,
    signature: unused,
    compute: measure(wholeOfWorker(request) ?? 0, stepOf(request.proxy, 'compute'), 'upstream'),
  }
}

function failedHop(request: MeasuredRequest): HopName | undefined {
  const { connected, answered, reason, status, agent, served } = request
  if (served === undefined && connected === undefined) return 'network'
  if (answered === undefined) return served === undefined ? 'redirect' : 'agent'
  if (!isReasonCode(reason)) {
    return status !== undefined && status >= 400 ? 'compute' : undefined
  }
  if (reason.startsWith('agent_')) return 'agent'
  const { fault } = reasonRow(reason)
  if (fault === 'compute' || fault === 'directory') return fault
  if (agent === undefined) return 'worker'
  return stepOf(agent, 'resolved') === undefined ? 'agent' : 'directory'
}

function measure(ms: Milliseconds, step: ExplainStep | undefined, name: string): Measure {
  const value = step?.detail[name]
  return { ms, ...(typeof value === 'string' && { detail: value }) }
}

function stepOf(explanation: Explanation | undefined, name: string): ExplainStep | undefined {
  return explanation?.steps.find(({ step }) => step === name)
}

/** The whole time, which the last step has. */
function lastOf(explanation: Explanation | undefined): Milliseconds | undefined {
  return explanation?.steps.at(-1)?.ms
}

/** Who answers may note its own end after the other side has the answer already. */
function wholeOfWorker({ answered, proxy }: MeasuredRequest): Milliseconds | undefined {
  return atMost(lastOf(proxy), answered)
}

function wholeOfAgent(request: MeasuredRequest): Milliseconds | undefined {
  return atMost(lastOf(request.agent), wholeOfWorker(request))
}

function atMost(
  ms: Milliseconds | undefined,
  around: Milliseconds | undefined,
): Milliseconds | undefined {
  return ms === undefined || around === undefined ? ms : Math.min(ms, around)
}

function numberOf(step: ExplainStep | undefined, name: string): number | undefined {
  const value = step?.detail[name]
  return typeof value === 'number' ? value : undefined
}

/** Two clocks that are read one after the other can differ by a hair. */
function rounded(ms: Milliseconds): Milliseconds {
  return Math.max(0, Math.round(ms * 1_000) / 1_000)
}
