import { LRUCache } from 'lru-cache'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { PortId } from '../../lib/identity/ids.ts'
import type { SourceMacPolicy } from './identity-policy.ts'
import type { LookupKey, Verdict } from './resolution.ts'
import { ScopedClockCache } from './scoped-clock-cache.ts'

/** Longer than a machine whose port was deleted stays plugged in. */
const remembered: Milliseconds = 60 * 60 * 1_000

/** Machines send requests at their boot and rarely after it. */
const rememberedOnLink: Milliseconds = 24 * remembered

/**
 * What has been seen of the MACs of a scope not long ago, which distinguishes routed guests from machines that only look so.
 *
 * A MAC that was a port's is no routed guest when its port is gone: it is the machine of a deleted port, still plugged in, and its
 * address may be another instance's by now. A port that was seen with its own MAC is on the link and not routed: another MAC that
 * no port has is another machine in its place. That holds in whatever scope it was seen: who joins a router of his own to a shared network
 * has a scope in which no port was seen yet, and the routes of that router to himself.
 */
export class MacMemory {
  readonly #macs: ScopedClockCache<true>
  /** Ports that were seen with their own MAC. */
  readonly #onLink: LRUCache<PortId, true>

  /** Where the source MAC counts for nothing, it is no reason to refuse a guest either. */
  readonly #isOff: boolean

  constructor(clock: Clock, max: Count, policy: SourceMacPolicy) {
    this.#isOff = policy === 'off'
    this.#macs = new ScopedClockCache({ clock, max, ttl: remembered })
    this.#onLink = new LRUCache({ max, ttl: rememberedOnLink, ttlResolution: 0, perf: clock })
  }

  /** Takes note of the MACs a verdict has seen. */
  note(key: LookupKey, verdict: Verdict): void {
    const { evidence } = verdict
    for (const port of evidence.byAddress) this.#macs.set(key.scope, port.macAddress, '', true)
    for (const port of evidence.byMac) this.#macs.set(key.scope, port.macAddress, '', true)
    if (verdict.kind !== 'found') return
    if (['address_and_mac', 'mac', 'same_instance'].includes(verdict.basis)) {
      this.#onLink.set(verdict.identity.portId, true)
    }
  }

  /** The verdict, or a refusal when it takes for a routed guest what is none. */
  withoutImpostors<One extends Verdict>(key: LookupKey, verdict: One): One | Verdict {
    if (this.#isOff || verdict.kind !== 'found' || verdict.basis !== 'routed') return verdict
    const isKnownOnLink = verdict.evidence.byMac.length > 0
    const why = this.#whyNotRouted(key, verdict.identity.portId, isKnownOnLink)
    if (why === undefined) return verdict
    return {
      kind: 'conflict',
      reason: 'source_mac_conflict',
      evidence: { ...verdict.evidence, why },
    }
  }

  /** @param isKnownOnLink the source MAC is a port's on the link, as that of a VM which routes for networks behind it */
  #whyNotRouted(key: LookupKey, portId: PortId, isKnownOnLink: boolean): string | undefined {
    if (
      !isKnownOnLink &&
      key.sourceMac !== undefined &&
      this.#macs.has(key.scope, key.sourceMac, '')
    ) {
      return 'The source MAC belongs or belonged to another port of the scope, so no router on the way has it.'
    }
    return this.#onLink.has(portId)
      ? 'The source MAC belongs to no port, and the port of the address was seen with its own MAC: it is not routed.'
      : undefined
  }
}
