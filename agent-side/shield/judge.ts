/** Which shields does a request not pass, and what follows? */
import type { ReasonCode } from '../../lib/runtime/reason-codes.ts'
import { isMetadataHost } from '../../lib/wire/metadata-address.ts'
import { routersPassed } from '../../lib/wire/hop-limit.ts'
import type { GuestFacts } from '../peers/guest-facts.ts'
import type { Basis } from '../resolve/resolution.ts'
import type { DocumentClass } from '../../lib/shield/document-class.ts'
import { shields, type Shield, type ShieldAction } from '../../lib/shield/shields.ts'
import type { GuestPolicy } from './policy.ts'
import type { TokenState } from './tokens.ts'

/** A shield that a request does not pass, for one class of document. */
export interface Finding {
  readonly shield: Shield
  readonly documents: DocumentClass
  readonly action: Exclude<ShieldAction, 'off'>
  /** What a guest reads where the shield is enforced. */
  readonly reason: ReasonCode
  /** The rule that decided the action. */
  readonly rule: string
}

/** What is judged. */
export interface Judged {
  readonly policy: GuestPolicy
  readonly facts: GuestFacts
  readonly basis: Basis
  /** Names in `Host` that count beside those of the service. */
  readonly hostNames: ReadonlySet<string>
  /** `missing` where none was sent. Only called where tokens count. */
  readonly token: () => TokenState | 'missing'
}

/** @returns every shield that is not `off` and that the request does not pass, the first one to name first */
export function judge(judged: Judged, classes: readonly DocumentClass[]): readonly Finding[] {
  const findings: Finding[] = []
  for (const shield of shields) {
    let reason: ReasonCode | undefined | 'not looked at' = 'not looked at'
    for (const documents of classes) {
      const { value: action, rule } = judged.policy.action(shield, documents)
      if (action === 'off') continue
      if (reason === 'not looked at') reason = checks[shield](judged)
      if (reason !== undefined) findings.push({ shield, documents, action, reason, rule })
    }
  }
  return findings
}

/** Each gives the reason for which a request does not pass. */
const checks: Readonly<Record<Shield, (judged: Judged) => ReasonCode | undefined>> = {
  token({ token }) {
    const state = token()
    if (state === 'valid') return undefined
    return state === 'missing' ? 'token_missing' : 'token_invalid'
  },

  forwarded({ facts, basis, policy }) {
    if (facts.isForwarded) return 'forwarded_in_guest'
    // Neutron's haproxy reports no arrival. A guest behind another VM has that one's routers on its way.
    if (!facts.isOfOurProxy || basis === 'routed') return undefined
    if (facts.arrival === undefined) return 'origin_unknown'
    const routers = routersPassed(facts.arrival.hopLimit)
    return routers < policy.hopLimit.value ? undefined : 'forwarded_in_guest'
  },

  host({ facts: { host }, hostNames }) {
    if (host === undefined) return 'origin_unknown'
    if (host === '' || isMetadataHost(host)) return undefined
    const name = host.toLowerCase()
    const isListed = hostNames.has(name) || hostNames.has(name.replace(/:\d{1,5}$/, ''))
    return isListed ? undefined : 'host_not_metadata'
  },

  low_port({ facts: { arrival, isOfOurProxy } }) {
    if (!isOfOurProxy) return undefined
    if (arrival === undefined || arrival.sourcePort === 0) return 'origin_unknown'
    return arrival.sourcePort < 1_024 ? undefined : 'source_port_high'
  },
}
