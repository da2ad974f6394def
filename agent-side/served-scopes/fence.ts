/** Which scopes may the workers of this host send requests for? Those that their supervisor reports, and no other. */
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { scopeText, type Scope, type ScopeText } from '../../lib/identity/scope.ts'
import {
  mostServedScopes,
  type ScopesReceipt,
  type ScopesReport,
} from '../../lib/wire/served-scopes.ts'
import type { Peer } from '../peers/lookup-key.ts'

/**
 * `automatic`: open until a supervisor has reported, and closed from then on. `always`: closed from the start, so that proxies that
 * report nothing get no answer.
 */
export type FenceMode = 'automatic' | 'always'

/** Remembers over a restart of the agent that the supervisor of this host reports. */
export interface ReportMarker {
  /** The account of the workers; absent where no supervisor has reported since the host was started. */
  read(): number | undefined
  set(workers: number): void
  clear(): void
}

/** Callbacks for metrics. */
export interface FenceObserver {
  waitedForScope(outcome: WaitOutcome): void
}

/** How a request for an unreported scope ended: reported in time, not reported, or too many waited already. */
export type WaitOutcome = 'served' | 'refused' | 'crowded'

export interface FenceOptions {
  readonly mode: FenceMode
  readonly marker: ReportMarker
  /** Accounts that may report. A worker of one of them could report as well. */
  readonly supervisors: ReadonlySet<number>
  readonly clock: Clock
  readonly observer: FenceObserver | undefined
}

/** How the fence stands, for `status` and `doctor`. */
export interface FenceStatus {
  /** `starting`: for a few seconds after the start, requests wait for the first report. */
  readonly state: 'open' | 'starting' | 'closed'
  readonly scopes: Count
  /** Connected ones with a whole list. */
  readonly supervisors: Count
  /** False when workers run as an account that may report: they could report what they like. */
  readonly areWorkersApart: boolean
  /** Requests that wait for their scope to be reported. */
  readonly waiting: Count
}

/** One connected supervisor. */
export interface ReportingSupervisor {
  /**
   * @returns what to answer, after a whole list
   * @throws {RangeError} more scopes than any host has
   * @throws {TypeError} the message makes no sense at this point
   */
  report(message: ScopesReport): ScopesReceipt | undefined
  close(): void
}

interface ServedList {
  readonly workers: number
  readonly scopes: Set<ScopeText>
  /** Its supervisor is gone. It counts until another one has reported a whole list. */
  isLeft: boolean
}

/** A new namespace is reported before its sockets are made, on another connection than its first request. */
const longestWait: Milliseconds = 1_000
const mostWaiting: Count = 256
/** A supervisor connects again within a second. */
const startSpan: Milliseconds = 5_000

/** Decides for each scope whether this host serves it, once a supervisor has reported its scopes. */
export class Fence {
  readonly #options: FenceOptions
  readonly #lists = new Set<ServedList>()
  readonly #waiting = new Set<() => void>()
  readonly #servedListeners = new Set<(scopes: readonly ScopeText[]) => void>()
  readonly #narrowedListeners = new Set<() => void>()
  /** By the report to the agent before this one, until there is a list. */
  #formerWorkers: number | undefined
  #startEnds: MonotonicMilliseconds = -Infinity
  #cancelStart: Cancel | undefined

  constructor(options: FenceOptions) {
    this.#options = options
  }

  /** Call it before the first request is read. */
  start(): void {
    const { mode, marker, clock } = this.#options
    this.#formerWorkers = marker.read()
    if (mode === 'automatic' && this.#formerWorkers === undefined) return
    this.#startEnds = clock.now() + startSpan
    this.#cancelStart = clock.schedule(startSpan, () => {
      // No supervisor reports any more: an older proxy took the place of one that did.
      if (this.#lists.size === 0 && mode === 'automatic') marker.clear()
      this.#wake()
    })
  }

  close(): void {
    this.#cancelStart?.()
    this.#wake()
  }

  get status(): FenceStatus {
    const lists = [...this.#lists]
    const isStarting = this.#isStarting
    return {
      state: isStarting ? 'starting' : this.#isClosed ? 'closed' : 'open',
      scopes: this.servedScopes.size,
      supervisors: lists.filter(({ isLeft }) => !isLeft).length,
      areWorkersApart: !lists.some(({ workers }) => this.#options.supervisors.has(workers)),
      waiting: this.#waiting.size,
    }
  }

  /** True when this host serves the scope, as far as reported. */
  serves(scope: ScopeText): boolean {
    for (const { scopes } of this.#lists) if (scopes.has(scope)) return true
    return false
  }

  /** Everything that is reported. */
  get servedScopes(): ReadonlySet<ScopeText> {
    return new Set([...this.#lists].flatMap(({ scopes }) => [...scopes]))
  }

  /** True when workers of this host may send requests for the scope now. */
  admits(scope: ScopeText): boolean {
    return !this.#isClosed || this.serves(scope)
  }

  /**
   * Every request of a process of this host goes through here.
   * @returns a promise only where the scope may still be reported
   * @throws {MetadataError} scope_not_served
   */
  require(peer: Peer, scope: Scope): Promise<void> | undefined {
    if (!this.#isClosed || !this.#concerns(peer)) return undefined
    const text = scopeText(scope)
    return this.serves(text) ? undefined : this.#untilServed(text)
  }

  /** Calls with the scopes that this host did not serve before. @returns what ends that */
  onServed(listener: (scopes: readonly ScopeText[]) => void): () => void {
    this.#servedListeners.add(listener)
    return () => void this.#servedListeners.delete(listener)
  }

  /** Calls when fewer scopes may be admitted than before. @returns what ends that */
  onNarrowed(listener: () => void): () => void {
    this.#narrowedListeners.add(listener)
    return () => void this.#narrowedListeners.delete(listener)
  }

  /** A supervisor has connected; who may is for the caller to decide. */
  open(): ReportingSupervisor {
    let pending: ServedList | undefined
    let list: ServedList | undefined
    return {
      report: (message) => {
        if (message.kind === 'begin') {
          pending = { workers: message.workers, scopes: new Set(), isLeft: false }
          return undefined
        }
        if (message.kind === 'complete') {
          if (pending === undefined) throw new TypeError('A list ends that has not begun')
          this.#replace(list, pending)
          list = pending
          pending = undefined
          return { kind: 'accepted', scopes: list.scopes.size }
        }
        const changed = pending ?? list
        if (changed === undefined) throw new TypeError('A change comes before the first list')
        if (message.kind === 'add') this.#add(changed, message.scopes)
        else this.#remove(changed, message.scopes)
        return undefined
      },
      close: () => {
        if (list !== undefined) list.isLeft = true
      },
    }
  }

  /** It never opens again by itself: a worker that was broken into would only have to wait. */
  get #isClosed(): boolean {
    return this.#lists.size > 0 || this.#options.mode === 'always' || this.#isStarting
  }

  get #isStarting(): boolean {
    return this.#lists.size === 0 && this.#options.clock.now() < this.#startEnds
  }

  /** A foreign proxy is known by its account, which no worker can take. */
  #concerns(peer: Peer): boolean {
    if (peer.kind === 'overlapd') return peer.proxy === undefined
    const { userId } = peer
    if (userId === undefined) return true
    if (this.#lists.size === 0) return userId === this.#formerWorkers
    for (const { workers } of this.#lists) if (workers === userId) return true
    return false
  }

  async #untilServed(scope: ScopeText): Promise<void> {
    const { clock, observer } = this.#options
    const began = clock.now()
    for (;;) {
      if (this.admits(scope)) break
      const left = this.#waitEnds(began) - clock.now()
      const isCrowded = this.#waiting.size >= mostWaiting && !this.#isStarting
      if (left <= 0 || isCrowded) {
        observer?.waitedForScope(isCrowded ? 'crowded' : 'refused')
        throw new MetadataError('scope_not_served', 'This host does not serve the scope', {
          details: { scope },
        })
      }
      await this.#woken(left)
    }
    observer?.waitedForScope('served')
  }

  /** While no supervisor is connected that could report it, waiting is of no use. */
  #waitEnds(began: MonotonicMilliseconds): MonotonicMilliseconds {
    if (this.#isStarting) return this.#startEnds
    for (const { isLeft } of this.#lists) if (!isLeft) return began + longestWait
    return began
  }

  async #woken(limit: Milliseconds): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        this.#waiting.delete(end)
        resolve()
      }
      const cancel = this.#options.clock.schedule(limit, end)
      this.#waiting.add(end)
    })
  }

  #wake(): void {
    for (const end of this.#waiting) end()
  }

  #add(list: ServedList, scopes: readonly ScopeText[]): void {
    const isLive = this.#lists.has(list)
    const fresh = isLive ? scopes.filter((scope) => !this.serves(scope)) : []
    for (const scope of scopes) list.scopes.add(scope)
    if (list.scopes.size > mostServedScopes) throw new RangeError('Too many scopes')
    if (fresh.length > 0) this.#served(fresh)
  }

  #remove(list: ServedList, scopes: readonly ScopeText[]): void {
    for (const scope of scopes) list.scopes.delete(scope)
    if (this.#lists.has(list)) this.#narrowed()
  }

  /** Lists that were left go as well: whoever reports now has followed those who left them. */
  #replace(former: ServedList | undefined, next: ServedList): void {
    const fresh = [...next.scopes].filter((scope) => !this.serves(scope))
    for (const list of this.#lists) if (list === former || list.isLeft) this.#lists.delete(list)
    this.#lists.add(next)
    this.#options.marker.set(next.workers)
    this.#narrowed()
    this.#served(fresh)
  }

  #served(scopes: readonly ScopeText[]): void {
    this.#wake()
    for (const listener of this.#servedListeners) listener(scopes)
  }

  #narrowed(): void {
    for (const listener of this.#narrowedListeners) listener()
  }
}
