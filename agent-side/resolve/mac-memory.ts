import { LRUCache } from 'lru-cache'
import type { Clock, Count, Milliseconds } from '../../lib/clock.ts'
import { scopeText } from '../../lib/scope.ts'
import type { LookupKey, Verdict } from './resolution.ts'

/** Longer than a machine whose port was deleted stays plugged in. */
const remembered: Milliseconds = 60 * 60 * 1_000

/**
 * Which MACs were ports' of a scope not long ago? One of those is no routed guest when its port is gone: it is the machine of a
 * deleted port, still plugged in, and its address may be another instance's by now.
 */
export class MacMemory {
  readonly #macs: LRUCache<string, true>

  constructor(clock: Clock, max: Count) {
    this.#macs = new LRUCache({ max, ttl: remembered, ttlResolution: 0, perf: clock })
  }

  /** Takes note of the MACs a verdict has seen. */
  note(key: LookupKey, { evidence }: Verdict): void {
    const scope = scopeText(key.scope)
    for (const port of evidence.byAddress) this.#macs.set(`${scope} ${port.macAddress}`, true)
    for (const port of evidence.byMac) this.#macs.set(`${scope} ${port.macAddress}`, true)
  }

  /** The verdict, or a refusal when it takes a deleted port's MAC for a routed guest. */
  withoutLeftBehind(key: LookupKey, verdict: Verdict): Verdict {
    if (verdict.kind !== 'found' || verdict.basis !== 'routed') return verdict
    if (!this.#macs.has(`${scopeText(key.scope)} ${key.sourceMac ?? ''}`)) return verdict
    const why =
      'The source MAC belonged to a port of the scope that is gone; the address is now of another.'
    return {
      kind: 'conflict',
      reason: 'source_mac_conflict',
      evidence: { ...verdict.evidence, why },
    }
  }
}
