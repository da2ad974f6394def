import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { PortId } from '../../lib/identity/ids.ts'
import { scopeText } from '../../lib/identity/scope.ts'
import type { ChangeLog, ChangeNumber } from './change-log.ts'
import type { LookupKey, Resolution } from './resolution.ts'
import { ScopedClockCache } from './scoped-clock-cache.ts'

export interface CacheLimits {
  /** How many found identities. */
  readonly max: Count
  /** How old a found identity may be, counted from when it was looked up. */
  readonly ttl: Milliseconds
  /** How many refusals, and how many of one scope: a guest that tries addresses must not push out its neighbours. */
  readonly maxNegative: Count
  readonly maxNegativePerScope: Count
  /** Very short: a guest can send requests before its port is known. */
  readonly ttlNegative: Milliseconds
}

/** What of a lookup key remains beside its scope and address. Most keys of networks have a MAC alone, which costs no new text. */
function detailOf({ sourceMac, ingressPort }: LookupKey): string {
  const mac: string = sourceMac ?? '-'
  return ingressPort === undefined ? mac : `${mac} ${ingressPort}`
}

interface CachedResolution {
  readonly resolution: Resolution
  readonly key: LookupKey
  /** No source MAC agreed, so news of another owner of the address ends it. */
  readonly isByAddress: boolean
  /** Nothing it rests on had changed up to here. Moves on when that is found true again. */
  checkedAt: ChangeNumber
}

interface Owner {
  /** Absent when not exactly one port had the address. */
  readonly portId: PortId | undefined
  readonly asOf: MonotonicMilliseconds
}

/**
 * Remembers verdicts by whole lookup key. Three things end one: its age, a change at the source to what it rests on, and,
 * when its address was used without a source MAC that agrees, newer news that the address has another owner.
 */
export class ResolutionCache {
  readonly #clock: Clock
  readonly #changes: ChangeLog
  readonly #limits: CacheLimits
  /** By address, and by source MAC and ingress. */
  readonly #found: ScopedClockCache<CachedResolution>
  readonly #refused: ScopedClockCache<CachedResolution>
  /** What is in `#refused` by scope, oldest first. */
  readonly #refusedOf = new Map<string, Set<CachedResolution>>()
  /** Who had an address when it was last looked at, by address and ingress. */
  readonly #owners: ScopedClockCache<Owner>
  readonly #forgottenListeners = new Set<(key: LookupKey) => void>()

  constructor(clock: Clock, changes: ChangeLog, limits: CacheLimits) {
    const { max, ttl, maxNegative, ttlNegative } = limits
    this.#clock = clock
    this.#changes = changes
    this.#limits = limits
    this.#found = new ScopedClockCache({ clock, max, ttl })
    this.#refused = new ScopedClockCache({
      clock,
      max: maxNegative,
      ttl: ttlNegative,
      onGone: (entry) => this.#unlistRefused(entry),
    })
    this.#owners = new ScopedClockCache({ clock, max, ttl })
  }

  get size(): { readonly found: Count; readonly refused: Count } {
    return { found: this.#found.size, refused: this.#refused.size }
  }

  get(key: LookupKey): Resolution | undefined {
    const { scope, sourceIp } = key
    const detail = detailOf(key)
    const entry =
      this.#found.get(scope, sourceIp, detail) ?? this.#refused.get(scope, sourceIp, detail)
    if (entry === undefined) return undefined
    if (this.#isStillTrue(entry)) return entry.resolution
    this.forget(key)
    return undefined
  }

  /** @param requestedAt the latest change when the lookup began */
  store(key: LookupKey, resolution: Resolution, requestedAt: ChangeNumber): void {
    this.#noteOwner(key, resolution)
    this.forget(key)
    const isFound = resolution.kind === 'found'
    const { scope, sourceIp } = key
    const detail = detailOf(key)
    const { asOf, until = Infinity } = resolution
    const ttl = isFound ? this.#limits.ttl : this.#limits.ttlNegative
    const from = Math.min(asOf, until - ttl)
    if (this.#clock.now() - from >= ttl) return
    const isByAddress =
      resolution.kind === 'found' &&
      (resolution.basis === 'address' || resolution.basis === 'routed')
    const entry: CachedResolution = { resolution, key, isByAddress, checkedAt: requestedAt }
    if (isFound) {
      this.#found.set(scope, sourceIp, detail, entry, from)
      return
    }
    this.#listRefused(entry)
    this.#refused.set(scope, sourceIp, detail, entry, from)
  }

  forget(key: LookupKey): void {
    const { scope, sourceIp } = key
    const detail = detailOf(key)
    if (this.#found.delete(scope, sourceIp, detail)) {
      for (const listener of this.#forgottenListeners) listener(key)
    }
    this.#refused.delete(scope, sourceIp, detail)
  }

  /** Calls whenever a found identity is given up or replaced before its time. @returns the function that ends that */
  onForgotten(listener: (key: LookupKey) => void): () => void {
    this.#forgottenListeners.add(listener)
    return () => this.#forgottenListeners.delete(listener)
  }

  #isStillTrue(entry: CachedResolution): boolean {
    const { latest } = this.#changes
    if (entry.checkedAt === latest && !entry.isByAddress) return true
    const { resolution, key } = entry
    if (entry.checkedAt !== latest) {
      const { networkIds } = resolution.evidence
      if (!this.#changes.isUnchanged(entry.checkedAt, { scope: key.scope, networkIds }))
        return false
      entry.checkedAt = latest
    }
    if (!entry.isByAddress) return true
    const owner = this.#owners.get(key.scope, key.sourceIp, key.ingressPort ?? '')
    return (
      owner === undefined ||
      (resolution.kind === 'found' && owner.portId === resolution.identity.portId) ||
      owner.asOf < resolution.asOf
    )
  }

  #noteOwner({ scope, sourceIp, ingressPort }: LookupKey, resolution: Resolution): void {
    const { asOf, evidence } = resolution
    const known = this.#owners.get(scope, sourceIp, ingressPort ?? '')
    if (known !== undefined && known.asOf > asOf) return
    const [port, another] = evidence.byAddress
    const portId = another === undefined ? port?.portId : undefined
    this.#owners.set(scope, sourceIp, ingressPort ?? '', { portId, asOf }, asOf)
  }

  #listRefused(entry: CachedResolution): void {
    const scopeName = scopeText(entry.key.scope)
    const listed = this.#refusedOf.get(scopeName) ?? new Set()
    this.#refusedOf.set(scopeName, listed)
    if (listed.size >= this.#limits.maxNegativePerScope) {
      const [oldest] = listed
      if (oldest !== undefined) {
        const { scope, sourceIp } = oldest.key
        this.#refused.delete(scope, sourceIp, detailOf(oldest.key))
      }
      // The last one of a scope takes its list with it.
      this.#refusedOf.set(scopeName, listed)
    }
    listed.add(entry)
  }

  #unlistRefused(entry: CachedResolution): void {
    const scopeName = scopeText(entry.key.scope)
    const listed = this.#refusedOf.get(scopeName)
    listed?.delete(entry)
    if (listed?.size === 0) this.#refusedOf.delete(scopeName)
  }
}
