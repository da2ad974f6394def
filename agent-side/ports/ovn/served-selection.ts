/** How does the copy come to hold what this host serves, and nothing else? */
import { parseNetworkId, type NetworkId, type RouterId } from '../../../lib/identity/ids.ts'
import { scopeText, type ScopeText } from '../../../lib/identity/scope.ts'
import type { Monitor } from '../../../lib/ovsdb/monitor.ts'
import type { Conditions } from '../../../lib/ovsdb/row-selection.ts'
import type { Cancel, Clock, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { PortsAnswer } from '../directory/port-directory.ts'
import { FirstLooks, type FirstLookOptions } from './first-look.ts'
import { conditionsOf, ServedRows, type Clause, type Places } from './served-rows.ts'
import type { SouthboundCopy } from './southbound-copy.ts'
import { WantedScopes } from './wanted-scopes.ts'

/** How often scopes that no request named for long are looked for. */
const expiryInterval: Milliseconds = 600_000

const nothing: Places = { networks: new Set(), routers: new Set() }

/**
 * Chooses the rows that are copied, by what the host serves, and knows of which networks and routers all rows are there. Any
 * other one is not *none* but *not known yet*.
 */
export class ServedSelection {
  readonly #clock: Clock
  readonly #monitor: Pick<Monitor, 'select' | 'selected'>
  readonly #scopes: WantedScopes
  /** What each choice was made of. */
  readonly #clausesOf = new WeakMap<Conditions, ReadonlySet<Clause>>()
  readonly #waiting = new Set<() => void>()
  /** Networks named by requests that had a datapath. */
  readonly #seen = new Set<NetworkId>()
  #chosen: ReadonlySet<Clause> = new Set()
  #known = nothing
  #shape: Count | undefined
  #copy: SouthboundCopy | undefined
  #cancelExpiry: Cancel = () => undefined
  readonly #looks: FirstLooks

  constructor(monitor: Pick<Monitor, 'select' | 'selected'>, options: FirstLookOptions) {
    this.#clock = options.clock
    this.#monitor = monitor
    this.#scopes = new WantedScopes(options.clock)
    this.#looks = new FirstLooks(options, () => this.#choose())
  }

  start(): void {
    this.#cancelExpiry = this.#clock.schedule(expiryInterval, () => {
      if (this.#scopes.expire()) this.#choose()
      this.start()
    })
  }

  close(): void {
    this.#cancelExpiry()
    this.wake()
  }

  /** Scopes that are wanted, and those of them of which some rows are still missing. */
  get counts(): { readonly wanted: Count; readonly missing: Count } {
    const wanted = [...this.#scopes.all]
    const known = new Set<ScopeText>([
      ...[...this.#known.networks].map((networkId) => scopeText({ kind: 'network', networkId })),
      ...[...this.#known.routers].map((routerId) => scopeText({ kind: 'router', routerId })),
    ])
    return { wanted: wanted.length, missing: wanted.filter((scope) => !known.has(scope)).length }
  }

  /** Takes the whole list of what the host serves. */
  report(scopes: ReadonlySet<ScopeText>): void {
    this.#scopes.report(scopes)
    this.#choose()
  }

  /** @returns whether all rows of the networks are in the copy; they will be, otherwise */
  hasNetworks(networkIds: readonly NetworkId[]): boolean {
    const { networks } = this.#known
    const missing = networkIds.filter((networkId) => {
      if (!networks.has(networkId)) return true
      this.#scopes.use(scopeText({ kind: 'network', networkId }))
      return false
    })
    return this.#name(missing.map((networkId) => scopeText({ kind: 'network', networkId })))
  }

  /** What is certain of a network whose rows are on the way. @see FirstLooks.find */
  seenFirst(...query: Parameters<FirstLooks['find']>): PortsAnswer | undefined {
    return this.#looks.find(...query)
  }

  /** @returns whether all rows of the router and its networks are in the copy; they will be, otherwise */
  hasRouter(routerId: RouterId): boolean {
    const scope = scopeText({ kind: 'router', routerId })
    if (!this.#known.routers.has(routerId)) return this.#name([scope])
    this.#scopes.use(scope)
    return true
  }

  /** The copy was replaced, or has changed. */
  note(copy: SouthboundCopy): void {
    if (copy === this.#copy && copy.shape === this.#shape) return
    this.#copy = copy
    this.#choose()
  }

  /** The server applies another choice, or is about to. */
  noteSelected(): void {
    this.#choose()
  }

  /** Lets all that wait look again: what they wait for is there, or cannot come. */
  wake(): void {
    for (const resolve of this.#waiting) resolve()
  }

  /** Resolves when there is something new to look at, or with the signal. */
  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const end = (): void => {
        signal.removeEventListener('abort', end)
        this.#waiting.delete(end)
        resolve()
      }
      signal.addEventListener('abort', end, { once: true })
      this.#waiting.add(end)
    })
  }

  #name(scopes: readonly ScopeText[]): boolean {
    const fresh = scopes.filter((scope) => this.#scopes.name(scope))
    if (fresh.length > 0) this.#choose()
    return scopes.length === 0
  }

  #choose(): void {
    const copy = this.#copy
    if (copy === undefined) return
    this.#shape = copy.shape
    const rows = new ServedRows(this.#scopes.all, copy)
    const selected = this.#monitor.selected.map(
      (one) => this.#clausesOf.get(one) ?? new Set<Clause>(),
    )
    this.#known = rows.within(selected)
    if (this.#forgetDeleted(copy)) {
      this.#choose()
      return
    }
    const clauses = this.#clausesAfterLooks(rows, copy)
    if (!isSame(clauses, this.#chosen)) {
      this.#chosen = clauses
      const conditions = conditionsOf(clauses)
      this.#clausesOf.set(conditions, clauses)
      this.#monitor.select(conditions)
    }
    this.wake()
  }

  /**
   * Lets networks that are new be looked at first. What is seen there needs one change of conditions instead of one for each step
   * from row to row; it is only a guess, and the copy's own rows decide what is known.
   */
  #clausesAfterLooks(rows: ServedRows, copy: SouthboundCopy): ReadonlySet<Clause> {
    const fresh = new Map<NetworkId, ScopeText>()
    for (const scope of this.#scopes.all) {
      const networkId = networkIn(scope)
      if (networkId === undefined || this.#known.networks.has(networkId)) continue
      if (copy.datapathsNamed(networkId).length === 0) fresh.set(networkId, scope)
    }
    this.#looks.at(new Set(fresh.keys()))
    if (fresh.size === 0) return rows.clauses
    const looked = [...fresh].filter(([networkId]) => !this.#looks.isUnderWay(networkId))
    const freshScopes = new Set(fresh.values())
    const others = [...this.#scopes.all].filter((scope) => !freshScopes.has(scope))
    const clauses = new Set(new ServedRows(others, copy).clauses)
    for (const [networkId, scope] of looked) {
      const seen = this.#looks.of(networkId)?.copy ?? copy
      for (const clause of new ServedRows([scope], seen).clauses) clauses.add(clause)
    }
    return clauses
  }

  /** @returns whether a network that requests named was deleted */
  #forgetDeleted(copy: SouthboundCopy): boolean {
    let isAny = false
    const wanted = this.#scopes.all
    for (const networkId of this.#seen) {
      if (!wanted.has(scopeText({ kind: 'network', networkId }))) this.#seen.delete(networkId)
    }
    for (const networkId of this.#known.networks) {
      const scope = scopeText({ kind: 'network', networkId })
      const isThere = copy.datapathsNamed(networkId).length > 0
      if (isThere && wanted.has(scope)) this.#seen.add(networkId)
      if (!isThere && this.#seen.delete(networkId)) isAny = this.#scopes.forget(scope) || isAny
    }
    return isAny
  }
}

function networkIn(scope: ScopeText): NetworkId | undefined {
  const [kind, id] = scope.split('/')
  return kind === 'network' ? parseNetworkId(id) : undefined
}

function isSame<Item>(one: ReadonlySet<Item>, other: ReadonlySet<Item>): boolean {
  if (one.size !== other.size) return false
  for (const item of one) if (!other.has(item)) return false
  return true
}
