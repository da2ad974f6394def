/** Can guests be served, as far as this agent is concerned? */
import type { Clock, Count, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'
import {
  partHealth,
  problemOf,
  reserveProblem,
  someOf,
  type DaemonCode,
  type PartHealth,
  type PartProblem,
  type ServedProof,
} from '../../lib/operator/health.ts'
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { PortDirectory } from '../ports/directory/port-directory.ts'
import type { Decision, DecisionLog } from '../requests/decision-log.ts'
import type { Shielding, ShieldRefusals } from '../shield/compose.ts'
import type { FenceStatus } from '../served-scopes/fence.ts'

/** A listener, or a lease listener. */
export interface WatchedListener {
  readiness(): { readonly name: string; readonly ready: boolean; readonly detail: string }
  /** Of one over TLS. */
  readonly certificate?: { readonly expiresAt: EpochMilliseconds }
}

/** What the health of an agent is made of. */
export interface AgentHealthParts {
  readonly directory: Pick<PortDirectory, 'kind' | 'readiness'>
  readonly upstreams: { readonly all: readonly WatchedUpstream[] }
  readonly listeners: readonly WatchedListener[]
  /** Absent where workers of this host are not kept to its scopes. */
  readonly fence: { readonly status: FenceStatus } | undefined
  readonly decisions: Pick<DecisionLog, 'latestRefusals' | 'latestServed'>
  readonly shield: Pick<Shielding, 'refusals'>
  readonly clock: Clock
}

/** A compute endpoint. */
export interface WatchedUpstream {
  readonly url: string
  readonly health: { readonly state: 'up' | 'due' | 'down' }
  readonly hasTakenSecret: boolean
  readonly hasRefusedSecrets: boolean
  readonly lastFailure: { readonly why: string } | undefined
  readonly pace: { readonly slowness: Milliseconds | undefined }
}

/** Each part of the agent, in the order of a request's way. */
export function agentHealth(parts: AgentHealthParts): readonly PartHealth[] {
  const { directory, upstreams, listeners, fence, decisions, shield, clock } = parts
  return [
    listenersHealth(listeners, clock.wallTime()),
    ...(fence === undefined ? [] : [fenceHealth(fence.status)]),
    directoryHealth(directory),
    computeHealth(upstreams.all),
    secretHealth(upstreams.all),
    shieldHealth(shield.refusals()),
    guestsHealth(decisions, clock.wallTime()),
  ]
}

/** When a guest got its metadata last. */
export function agentProof(decisions: Pick<DecisionLog, 'latestServed'>): ServedProof {
  const at = decisions.latestServed()?.at
  return at === undefined ? {} : { guest: new Date(at).toISOString() }
}

function listenersHealth(all: readonly WatchedListener[], now: EpochMilliseconds): PartHealth {
  const looked = all.map((one) => {
    const isOver = one.certificate !== undefined && one.certificate.expiresAt <= now
    return { ...one.readiness(), isOver }
  })
  const text = ({ name, detail }: { name: string; detail: string }): string => `${name}: ${detail}`
  const over = looked.filter(({ isOver }) => isOver)
  const closed = looked.filter(({ ready, isOver }) => !ready && !isOver)
  const open = looked.length - over.length - closed.length
  return partHealth(
    'listeners',
    open === looked.length ? `${open} listening` : someOf(looked.map(text)),
    problemOf('listener_closed', [closed.length, looked.length], someOf(closed.map(text))),
    problemOf('certificate_over', [over.length, looked.length], someOf(over.map(text))),
  )
}

function fenceHealth({ state, scopes, supervisors, areWorkersApart }: FenceStatus): PartHealth {
  const isAlone = state === 'closed' && supervisors === 0
  const what = 'no supervisor of this host reports what it serves, and the fence is closed'
  const closed: PartProblem = {
    code: 'fence_closed',
    state: scopes === 0 ? 'not_ready' : 'degraded',
    what,
    howMany: 1,
    of: 1,
  }
  const detail = areWorkersApart ? '' : '; workers run as an account that may report'
  return partHealth('fence', `${state}, ${scopes} scopes${detail}`, isAlone ? closed : undefined)
}

function directoryHealth(directory: AgentHealthParts['directory']): PartHealth {
  const { ready, detail, trouble } = directory.readiness()
  const what = `${directory.kind}: ${trouble?.what ?? detail}`
  const isImpaired = ready && trouble !== undefined
  return partHealth(
    'directory',
    detail,
    problemOf('directory_not_ready', [ready ? 0 : 1, 1], what),
    isImpaired
      ? {
          code: 'directory_impaired',
          state: trouble.names === 'some' ? 'degraded' : 'not_ready',
          what,
          howMany: 1,
          of: 1,
        }
      : undefined,
  )
}

function computeHealth(all: readonly WatchedUpstream[]): PartHealth {
  const away = all.filter(({ health }) => health.state !== 'up')
  const slow = all.flatMap((one) => {
    const { slowness } = one.pace
    return slowness === undefined || away.includes(one)
      ? []
      : [`${one.url} takes ${(slowness / 1_000).toFixed(1)} s`]
  })
  const whys = away.map(({ url, lastFailure }) => `${url}: ${lastFailure?.why ?? 'no answer'}`)
  const code = away.length < all.length ? 'compute_down' : 'no_compute'
  return partHealth(
    'compute',
    `${all.length - away.length} of ${all.length} endpoints answer`,
    problemOf(code, [away.length, all.length], someOf(whys)),
    reserveProblem('compute_slow', [slow.length, all.length], someOf(slow)),
  )
}

function secretHealth(all: readonly WatchedUpstream[]): PartHealth {
  const refusing = all.filter(({ hasRefusedSecrets }) => hasRefusedSecrets)
  const urls = someOf(refusing.map(({ url }) => url))
  const taking = all.filter((one) => one.hasTakenSecret && !one.hasRefusedSecrets)
  const isTried = refusing.length + taking.length > 0
  const detail = isTried
    ? `accepted by ${taking.length} of ${all.length} endpoints`
    : 'not tried yet'
  const what = `${urls} answered 403 to every secret of the agent`
  return partHealth(
    'secret',
    detail,
    problemOf('secret_refused', [refusing.length, all.length], what),
  )
}

function shieldHealth({ policy, keys, windows, full, state }: ShieldRefusals): PartHealth {
  const isUsed = policy === undefined && keys === undefined
  const one = (code: DaemonCode, what: string | undefined): PartProblem | undefined =>
    reserveProblem(code, [what === undefined ? 0 : 1, 1], what ?? '')
  return partHealth(
    'shield',
    isUsed ? 'its files are used as they are' : 'older versions of its files are used',
    one('policy_refused', policy),
    one('token_keys_refused', keys),
    one('seals_lost', windows),
    one('seals_full', full),
    one('shield_state_unwritten', state),
  )
}

const lately: Milliseconds = 300_000
const mostLookedAt: Count = 1_000

/** Other parts report what hits every guest; these are about one guest, or one network. */
const aboutSome: ReadonlySet<ReasonCode | undefined> = new Set<ReasonCode>([
  'no_network',
  'no_port',
  'port_without_instance',
  'port_without_project',
  'ambiguous_port',
  'ingress_port_unknown',
  'scope_not_served',
])

function guestsHealth(
  decisions: AgentHealthParts['decisions'],
  now: EpochMilliseconds,
): PartHealth {
  const refused = decisions
    .latestRefusals(mostLookedAt)
    .filter(({ at, reason }) => at >= now - lately && aboutSome.has(reason))
  const guests = new Map<string, Decision>()
  for (const one of refused) {
    const guest = guestText(one)
    if (!guests.has(guest)) guests.set(guest, one)
  }
  const texts = Array.from(
    guests,
    ([guest, { reason, requestId }]) => `${guest} ${reason} (request ${requestId})`,
  )
  const what = `${guests.size} refused in the last 5 minutes: ${someOf(texts, 2)}`
  return partHealth(
    'guests',
    guests.size === 0 ? 'none refused in the last 5 minutes' : `${guests.size} refused`,
    reserveProblem('guests_refused', [guests.size, guests.size], what),
  )
}

function guestText({ key }: Decision): string {
  return key === undefined ? 'unknown' : `${scopeText(key.scope)} ${key.sourceIp}`
}
