/** Who may hold a signed header set for a while, and what takes it back? */
import { scopeText, type Scope, type ScopeText } from '../../lib/identity/scope.ts'
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import {
  heartbeatInterval,
  leasesPerRevocation,
  type LeasedConcurrency,
  type LeaseKey,
  type LeaseNews,
  type LeasedUse,
  type LeaseUpstream,
} from '../../lib/wire/lease-messages.ts'
import type { DirectoryChange, PortDirectory } from '../ports/directory/port-directory.ts'
import {
  addressText,
  lookupKeyText,
  type Identity,
  type LookupKey,
  type Resolution,
} from '../resolve/resolution.ts'
import type { Fence } from '../served-scopes/fence.ts'

/** What the issuer needs of the resolver. */
export interface LeasedVerdicts {
  /** What is remembered and true at this moment, without a query. */
  remembered(key: LookupKey): Resolution | undefined
  /** Calls with a lookup key whose remembered identity was given up or replaced. */
  onForgotten(listener: (key: LookupKey) => void): () => void
}

export interface LeaseIssuerOptions {
  readonly verdicts: LeasedVerdicts
  readonly directory: Pick<PortDirectory, 'onChange' | 'isConfirmed'>
  /** Absent where workers may request every scope. */
  readonly fence?: Pick<Fence, 'admits' | 'onNarrowed'> | undefined
  /** Where requests of an identity may go and with which headers; empty when nowhere. */
  readonly upstreamsFor: (identity: Identity, scope: Scope) => readonly LeaseUpstream[]
  /** How many requests all workers together may have on their way to compute. Each gets its part. */
  readonly concurrency: LeasedConcurrency
  /** Calls with what workers report to have served. */
  readonly onServed?: (identity: Identity, key: LeaseKey, use: LeasedUse) => void
  readonly clock: Clock
  readonly ttl: Milliseconds
  /** Counted from when the port was looked up: the age limit of the resolver's memory. */
  readonly oldest: Milliseconds
  /** Leases of one holder at a time. */
  readonly maxPerHolder: Count
}

/** One connected worker. */
export interface LeaseHolder {
  request(requestNumber: number, key: LeaseKey): void
  /** Compute refused a request under the lease. */
  stale(lease: number): void
  /** Requests were served under a lease, of this moment or of one just before. */
  served(use: LeasedUse): void
  /** The worker is gone, and its leases with it. */
  close(): void
}

interface IssuedLease {
  readonly id: number
  readonly scope: ScopeText
  readonly holder: Holder
  readonly identity: Identity
  readonly key: LeaseKey
  readonly endsAt: MonotonicMilliseconds
  /** Names in the index: lookup key, address, router, networks. */
  readonly places: readonly string[]
  readonly keyPlace: string
  readonly addressPlace: string
}

interface Holder {
  readonly send: (news: LeaseNews) => void
  readonly leases: Set<IssuedLease>
}

/**
 * Grants leases of identities that the resolver remembers as found by address *and* MAC, and takes them back when anything that
 * made them true may have changed. A request for a lease never causes a query of the port directory: the guest's request before it did.
 *
 * A lease grants no more than the resolver's memory would for the same time: it ends with that memory, at a change reported by the
 * directory, at another MAC for the address, when this host serves the scope no longer, and when compute refuses the identity.
 */
export class LeaseIssuer {
  readonly #options: LeaseIssuerOptions
  readonly #holders = new Set<Holder>()
  readonly #leases = new Map<number, IssuedLease>()
  readonly #index = new Map<string, Set<IssuedLease>>()
  readonly #unsubscribe: readonly (() => void)[]
  /** Since the beat before the last one: what was served under them may not be reported yet. */
  #ended = new Map<number, IssuedLease>()
  #endedBefore: readonly number[] = []
  #lastId = 0
  #beat: Cancel | undefined

  constructor(options: LeaseIssuerOptions) {
    this.#options = options
    this.#unsubscribe = [
      options.directory.onChange((change) => this.#changed(change)),
      options.verdicts.onForgotten((key) => this.#forgotten(key)),
      options.fence?.onNarrowed(() => this.#narrowed()) ?? (() => undefined),
    ]
  }

  get size(): Count {
    return this.#leases.size
  }

  get holders(): Count {
    return this.#holders.size
  }

  /** A worker has connected. It gets a heartbeat at once. */
  open(send: (news: LeaseNews) => void): LeaseHolder {
    const holder: Holder = { send, leases: new Set() }
    this.#holders.add(holder)
    send(this.#heartbeat())
    this.#beat ??= this.#scheduleBeat()
    return {
      request: (requestNumber, key) => this.#answer(holder, requestNumber, key),
      stale: (id) => {
        const lease = this.#leases.get(id)
        if (lease?.holder === holder) this.#revoke(this.#at(lease.keyPlace))
      },
      served: (use) => {
        const lease = this.#leases.get(use.lease) ?? this.#ended.get(use.lease)
        if (lease?.holder === holder) this.#options.onServed?.(lease.identity, lease.key, use)
      },
      close: () => this.#forgetHolder(holder),
    }
  }

  /** A request came from this key. Another MAC than a lease has for the address ends that lease. */
  noteKey(key: LookupKey): void {
    if (this.#leases.size === 0 || key.sourceMac === undefined) return
    const ofAddress = this.#index.get(`address ${addressText(key)}`)
    if (ofAddress === undefined) return
    const keyPlace = `key ${lookupKeyText(key)}`
    this.#revoke([...ofAddress].filter((lease) => lease.keyPlace !== keyPlace))
  }

  /** For what concerns every identity: other secrets, other endpoints, the end of the agent. */
  revokeAll(): void {
    for (const lease of this.#leases.values()) this.#forget(lease)
    for (const holder of this.#holders) holder.send({ kind: 'revoke_all' })
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.revokeAll()
    this.#holders.clear()
    this.#beat?.()
    this.#beat = undefined
  }

  #answer(holder: Holder, requestNumber: number, key: LeaseKey): void {
    // The verdict is looked at and the lease entered in one go: a change cannot come between.
    const granted = this.#grant(holder, requestNumber, key)
    holder.send(granted ?? { kind: 'refused', request: requestNumber })
  }

  #grant(holder: Holder, requestNumber: number, key: LeaseKey): LeaseNews | undefined {
    const { verdicts, directory, fence, clock, upstreamsFor, ttl, oldest, maxPerHolder } =
      this.#options
    if (holder.leases.size >= maxPerHolder || !this.#holders.has(holder)) return undefined
    if (fence?.admits(scopeText(key.scope)) === false) return undefined
    if (directory.isConfirmed?.() === false) return undefined
    const resolution = verdicts.remembered(key)
    if (resolution === undefined || !isAgreed(resolution)) return undefined
    const now = clock.now()
    const { asOf, until = Infinity } = resolution
    const span = Math.floor(Math.min(ttl, asOf + oldest - now, until - now))
    if (!(span > 0)) return undefined
    const upstreams = upstreamsFor(resolution.identity, key.scope)
    if (upstreams.length === 0) return undefined
    const id = (this.#lastId += 1)
    this.#enter(leaseOf(id, holder, key, resolution, now + span))
    return { kind: 'lease', request: requestNumber, lease: id, ttl: span, upstreams }
  }

  #forgotten(key: LookupKey): void {
    if (this.#leases.size > 0) this.#revoke(this.#at(`key ${lookupKeyText(key)}`))
  }

  #changed(change: DirectoryChange): void {
    if (this.#leases.size === 0) return
    if (change.kind === 'all') this.revokeAll()
    else if (change.kind === 'network') this.#revoke(this.#at(`network ${change.networkId}`))
    else this.#revoke(this.#at(`router ${change.routerId}`))
  }

  /** Fewer scopes are served by this host. */
  #narrowed(): void {
    const { fence } = this.#options
    this.#revoke([...this.#leases.values()].filter(({ scope }) => fence?.admits(scope) === false))
  }

  #revoke(leases: readonly IssuedLease[]): void {
    const byHolder = new Map<Holder, number[]>()
    for (const lease of leases) {
      this.#forget(lease)
      const ids = byHolder.get(lease.holder) ?? []
      ids.push(lease.id)
      byHolder.set(lease.holder, ids)
    }
    for (const [holder, ids] of byHolder) {
      for (let from = 0; from < ids.length; from += leasesPerRevocation) {
        holder.send({ kind: 'revoke', leases: ids.slice(from, from + leasesPerRevocation) })
      }
    }
  }

  #at(place: string): readonly IssuedLease[] {
    return [...(this.#index.get(place) ?? [])]
  }

  #enter(lease: IssuedLease): void {
    this.#leases.set(lease.id, lease)
    lease.holder.leases.add(lease)
    for (const place of lease.places) {
      const listed = this.#index.get(place) ?? new Set()
      this.#index.set(place, listed.add(lease))
    }
  }

  #forget(lease: IssuedLease): void {
    this.#leases.delete(lease.id)
    this.#ended.set(lease.id, lease)
    lease.holder.leases.delete(lease)
    for (const place of lease.places) {
      const listed = this.#index.get(place)
      listed?.delete(lease)
      if (listed?.size === 0) this.#index.delete(place)
    }
  }

  #forgetHolder(holder: Holder): void {
    this.#holders.delete(holder)
    for (const lease of holder.leases) this.#forget(lease)
    if (this.#holders.size > 0) return
    this.#ended.clear()
    this.#beat?.()
    this.#beat = undefined
  }

  #scheduleBeat(): Cancel {
    const { clock } = this.#options
    return clock.schedule(heartbeatInterval, () => {
      this.#beat = this.#scheduleBeat()
      const now = clock.now()
      for (const id of this.#endedBefore) this.#ended.delete(id)
      this.#endedBefore = [...this.#ended.keys()]
      for (const lease of this.#leases.values()) if (lease.endsAt <= now) this.#forget(lease)
      const heartbeat = this.#heartbeat()
      for (const holder of this.#holders) holder.send(heartbeat)
    })
  }

  /** A worker that connects gets its part at once, the others theirs within a second. */
  #heartbeat(): LeaseNews {
    const part = (count: Count): Count => Math.max(1, Math.floor(count / this.#holders.size))
    const { min, max } = this.#options.concurrency
    const concurrency = { min: part(min), max: part(max) }
    return { kind: 'heartbeat', concurrency }
  }
}

type Found = Resolution & { readonly kind: 'found' }

/** True when the MAC took part in the verdict: an address alone may belong to another port tomorrow. */
function isAgreed(resolution: Resolution): resolution is Found {
  return (
    resolution.kind === 'found' &&
    ['address_and_mac', 'mac', 'same_instance'].includes(resolution.basis)
  )
}

function leaseOf(
  id: number,
  holder: Holder,
  key: LeaseKey,
  resolution: Found,
  endsAt: MonotonicMilliseconds,
): IssuedLease {
  const { scope } = key
  const keyPlace = `key ${lookupKeyText(key)}`
  const addressPlace = `address ${addressText(key)}`
  const networks = new Set([...resolution.evidence.networkIds, resolution.identity.networkId])
  if (scope.kind === 'network') networks.add(scope.networkId)
  const places = [keyPlace, addressPlace, ...[...networks].map((one) => `network ${one}`)]
  if (scope.kind === 'router') places.push(`router ${scope.routerId}`)
  const { identity } = resolution
  return {
    id,
    scope: scopeText(scope),
    holder,
    identity,
    key,
    endsAt,
    places,
    keyPlace,
    addressPlace,
  }
}
