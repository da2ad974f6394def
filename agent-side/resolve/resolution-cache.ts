import { LRUCache } from 'lru-cache'
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/clock.ts'
import type { PortId } from '../../lib/ids.ts'
import { scopeText } from '../../lib/scope.ts'
import type { ChangeLog, ChangeNumber } from './change-log.ts'
import { addressText, type LookupKey, type Resolution } from './resolution.ts'

export interface CacheLimits {
  /** How many found identities. */
  readonly max: Count
  /** How old a found identity may be, counted from when the source of ports said so. */
  readonly ttl: Milliseconds
  /** How many refusals, and how many of one scope: a guest that tries addresses must not push out its neighbours. */
  readonly maxNegative: Count
  readonly maxNegativePerScope: Count
  /** Very short: a guest can ask before its port is known. */
  readonly ttlNegative: Milliseconds
}

interface Entry {
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
 * when its address was believed without a source MAC that agrees, newer news that the address has another owner.
 */
export class ResolutionCache {
  readonly #clock: Clock
  readonly #changes: ChangeLog
  readonly #limits: CacheLimits
  readonly #found: LRUCache<string, Entry>
  readonly #refused: LRUCache<string, Entry>
  /** Keys of `#refused` by scope, oldest first. */
  readonly #refusedOf = new Map<string, Set<string>>()
  /** Who had an address when it was last looked at, by address in its scope. */
  readonly #owners: LRUCache<string, Owner>
  readonly #forgottenListeners = new Set<(keyText: string) => void>()

  constructor(clock: Clock, changes: ChangeLog, limits: CacheLimits) {
    this.#clock = clock
    this.#changes = changes
    this.#limits = limits
    const time = { perf: clock, ttlResolution: 0 }
    this.#found = new LRUCache<string, Entry>({ ...time, max: limits.max, ttl: limits.ttl })
    this.#refused = new LRUCache<string, Entry>({
      ...time,
      max: limits.maxNegative,
      ttl: limits.ttlNegative,
      dispose: (entry, keyText) => this.#unlistRefused(scopeText(entry.key.scope), keyText),
    })
    this.#owners = new LRUCache<string, Owner>({ ...time, max: limits.max, ttl: limits.ttl })
  }

  get size(): { readonly found: Count; readonly refused: Count } {
    return { found: this.#found.size, refused: this.#refused.size }
  }

  get(keyText: string): Resolution | undefined {
    const entry = this.#found.get(keyText) ?? this.#refused.get(keyText)
    if (entry === undefined) return undefined
    if (this.#isStillTrue(entry)) return entry.resolution
    this.forget(keyText)
    return undefined
  }

  /** @param askedAt the latest change when the question began */
  store(keyText: string, key: LookupKey, resolution: Resolution, askedAt: ChangeNumber): void {
    this.#noteOwner(key, resolution)
    this.forget(keyText)
    const isFound = resolution.kind === 'found'
    const limit = isFound ? this.#limits.ttl : this.#limits.ttlNegative
    const age = this.#clock.now() - resolution.asOf
    if (age >= limit) return
    const isByAddress =
      resolution.kind === 'found' &&
      (resolution.basis === 'address' || resolution.basis === 'routed')
    const entry: Entry = { resolution, key, isByAddress, checkedAt: askedAt }
    if (isFound) {
      this.#found.set(keyText, entry, { start: resolution.asOf, ttl: limit })
      return
    }
    this.#listRefused(scopeText(key.scope), keyText)
    this.#refused.set(keyText, entry, { start: resolution.asOf, ttl: limit })
  }

  forget(keyText: string): void {
    if (this.#found.delete(keyText)) for (const told of this.#forgottenListeners) told(keyText)
    this.#refused.delete(keyText)
  }

  /** Calls whenever a found identity is given up or replaced before its time. @returns the function that ends that */
  onForgotten(listener: (keyText: string) => void): () => void {
    this.#forgottenListeners.add(listener)
    return () => this.#forgottenListeners.delete(listener)
  }

  #isStillTrue(entry: Entry): boolean {
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
    const owner = this.#owners.get(addressText(key))
    return (
      owner === undefined ||
      (resolution.kind === 'found' && owner.portId === resolution.identity.portId) ||
      owner.asOf < resolution.asOf
    )
  }

  #noteOwner(key: LookupKey, resolution: Resolution): void {
    const place = addressText(key)
    const known = this.#owners.get(place)
    if (known !== undefined && known.asOf > resolution.asOf) return
    const [port, another] = resolution.evidence.byAddress
    const portId = another === undefined ? port?.portId : undefined
    this.#owners.set(place, { portId, asOf: resolution.asOf }, { start: resolution.asOf })
  }

  #listRefused(scope: string, keyText: string): void {
    const listed = this.#refusedOf.get(scope) ?? new Set()
    this.#refusedOf.set(scope, listed)
    if (listed.size >= this.#limits.maxNegativePerScope) {
      const [oldest] = listed
      if (oldest !== undefined) this.#refused.delete(oldest)
      // The last one of a scope takes its list with it.
      this.#refusedOf.set(scope, listed)
    }
    listed.add(keyText)
  }

  #unlistRefused(scope: string, keyText: string): void {
    const listed = this.#refusedOf.get(scope)
    listed?.delete(keyText)
    if (listed?.size === 0) this.#refusedOf.delete(scope)
  }
}
