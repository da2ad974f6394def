import type { Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { queryServer, type Candidate, type CandidateListener } from './candidate.ts'
import { ovsdbEndpointText, type OvsdbEndpoint } from './endpoint.ts'
import { Monitor, type CopyKind, type MonitorSpec } from './monitor.ts'
import type { OvsdbClientOptions } from './client-options.ts'
import { OvsdbError } from './ovsdb-error.ts'
import type { ClusterPosition } from './server-status.ts'
import type { OvsdbSession } from './session.ts'
import { Backoff } from '../runtime/backoff.ts'
import { SuccessorSearch } from './successor-search.ts'

/** How long the first words of a session may take, in the first round over the servers. */
const firstWords: Milliseconds = 5_000

/** How it stands between us and the servers. */
export type OvsdbState =
  | { readonly kind: 'connecting'; readonly lastProblem: string }
  | { readonly kind: 'live'; readonly endpoint: string; readonly copy: CopyKind }
  | { readonly kind: 'closed' }

/**
 * Keeps one session with one of several OVSDB servers, and copies of what its monitors select. It reconnects for
 * as long as it is open and gives up on nothing: how old a copy may become is decided by whoever answers from it.
 */
export class OvsdbClient implements CandidateListener {
  readonly #options: OvsdbClientOptions
  readonly #monitors: Monitor[] = []
  /** Why each server could not be used, as it was logged. */
  readonly #reported = new Map<string, string>()
  readonly #stopping = new AbortController()
  readonly #listeners = new Set<(state: OvsdbState) => void>()
  #state: OvsdbState = { kind: 'connecting', lastProblem: 'no attempt was made yet' }
  #current: Candidate | undefined
  #confirmedAt: MonotonicMilliseconds | undefined
  #seen: ClusterPosition | undefined
  #hasMoved = false
  #isLocating = false
  /** Where the session was that ended last: tried after all others. */
  #last: OvsdbEndpoint | undefined
  #running: Promise<void> | undefined

  constructor(options: OvsdbClientOptions) {
    this.#options = options
  }

  /** Adds a copy to be kept; before {@link start}. All but optional ones must be had for the session to be live. */
  addMonitor(spec: MonitorSpec): Pick<Monitor, 'select' | 'selected'> {
    const monitor = new Monitor(spec, this.#options.clock)
    this.#monitors.push(monitor)
    return monitor
  }

  /** Begins to connect and returns at once. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the session and begins another one soon: what is to be monitored has changed. Before the first one nothing happens. */
  renew(): void {
    this.#current?.session.fail(new OvsdbError('closed', 'Something else is to be monitored'))
  }

  /** Ends the session and all attempts; may be called twice. */
  async close(): Promise<void> {
    this.#stopping.abort(new OvsdbError('closed', 'The client was closed'))
    this.#current?.session.fail(new OvsdbError('closed', 'The client was closed'))
    for (const monitor of this.#monitors) monitor.stop()
    await this.#running
    this.#become({ kind: 'closed' })
  }

  get state(): OvsdbState {
    return this.#state
  }

  /**
   * Until when the copies are known to be right: when the echo was requested that a live server answered last, after all
   * that it knew then. `undefined` before the first one.
   */
  get confirmedAt(): MonotonicMilliseconds | undefined {
    return this.#confirmedAt
  }

  /** Whether changes have come that are not in the copies yet: a long update is being taken in. */
  get isBehind(): boolean {
    return this.#monitors.some((monitor) => monitor.isBusy)
  }

  /** Reports each change of {@link state}. @returns the function that ends the subscription */
  onState(listener: (state: OvsdbState) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Runs operations as one transaction (RFC 7047 §4.1.3).
   * @returns one result an operation
   * @throws OvsdbError when there is no session or the server refuses any of it
   */
  async transact(operations: readonly unknown[]): Promise<readonly unknown[]> {
    const { database, limits } = this.#options
    const session = this.#current?.session
    if (session === undefined) throw new OvsdbError('closed', 'There is no session')
    const answer = await session.request('transact', [database, ...operations], limits.answer)
    const results = Array.isArray(answer) ? (answer as readonly unknown[]) : []
    for (const result of results) {
      const { error, details } = (result ?? {}) as { error?: unknown; details?: unknown }
      if (typeof error !== 'string') continue
      const text = `The transaction failed: ${error}${typeof details === 'string' ? `: ${details}` : ''}`
      throw new OvsdbError('refused', text, { refusal: error })
    }
    return results
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const backoff = this.#newBackoff()
    while (!signal.aborted) {
      let next = await this.#search(this.#inOrder(), backoff, signal)
      while (next !== undefined) {
        const { wasLive, successor } = await this.#keep(next)
        if (wasLive) backoff.reset()
        next = successor
      }
      if (!(await this.#rest(backoff, signal))) return
    }
  }

  #newBackoff(): Backoff {
    const { limits, random } = this.#options
    return new Backoff(limits.retryFirst, limits.retryLongest, random, 0)
  }

  /** @returns `false` when the signal came first */
  async #rest(backoff: Backoff, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.clock.sleep(backoff.next(), signal)
      return true
    } catch {
      return false
    }
  }

  /** All servers, in random order; the one that was lost last comes last. */
  #inOrder(): readonly OvsdbEndpoint[] {
    const { endpoints, random } = this.#options
    const order = shuffled(endpoints, random)
    const last = this.#last
    return [...order.filter((one) => one !== last), ...order.filter((one) => one === last)]
  }

  /** Tries one server after the other until one may be used. @returns `undefined` when none may, or the signal came */
  async #search(
    endpoints: readonly OvsdbEndpoint[],
    { nominal }: Backoff,
    signal: AbortSignal,
  ): Promise<Candidate | undefined> {
    const { limits } = this.#options
    // Servers to which all their clients come back at once need longer: each round in vain allows for more.
    const longest = Math.max(firstWords, limits.answer)
    const patience = Math.min((firstWords * nominal) / limits.retryFirst, longest)
    for (const endpoint of endpoints) {
      if (signal.aborted) return undefined
      try {
        return await queryServer(endpoint, this.#options, patience, this, signal)
      } catch (thrown) {
        this.#noteProblem(endpoint, thrown)
      }
    }
    return undefined
  }

  /** Uses a server for as long as it can be used. @returns whether it was live, and who was found to take its place */
  async #keep(
    candidate: Candidate,
  ): Promise<{ readonly wasLive: boolean; readonly successor?: Candidate }> {
    const { endpoint, session, watch } = candidate
    const where = ovsdbEndpointText(endpoint)
    const search = new SuccessorSearch(session, (signal) => this.#findSuccessor(signal))
    let wasLive = false
    this.#current = candidate
    this.#last = endpoint
    try {
      if (this.#stopping.signal.aborted) throw new OvsdbError('closed', 'The client was closed')
      const copy = await this.#prepare(session)
      this.#seen = watch.position ?? this.#seen
      this.#become({ kind: 'live', endpoint: where, copy })
      wasLive = true
      this.#options.logger.info({ endpoint: where, copy }, 'OVSDB copy is complete')
      candidate.onSilence = (isSilent) => search.note(isSilent)
      throw await session.ended
    } catch (thrown) {
      search.note(false)
      session.fail(asOvsdbError(thrown))
      for (const monitor of this.#monitors) monitor.stop()
      this.#current = undefined
      this.#noteProblem(endpoint, thrown, wasLive)
    }
    const { found } = search
    return { wasLive, ...(found && { successor: found }) }
  }

  /** Looks among the other servers, beside a session that is silent, until one may be used. */
  async #findSuccessor(silent: AbortSignal): Promise<Candidate | undefined> {
    const signal = AbortSignal.any([silent, this.#stopping.signal])
    const backoff = this.#newBackoff()
    if (this.#options.endpoints.length < 2) return undefined
    do {
      const others = this.#inOrder().filter((endpoint) => endpoint !== this.#last)
      const found = await this.#search(others, backoff, signal)
      if (found !== undefined) return found
    } while (await this.#rest(backoff, signal))
    return undefined
  }

  async #prepare(session: OvsdbSession): Promise<CopyKind> {
    let copy: CopyKind = 'resumed'
    for (const monitor of this.#monitors) {
      if ((await this.#begin(monitor, session)) === 'full') copy = 'full'
    }
    // What the server knew when it began to write a long copy may be old by now.
    await session.confirm(this.#options.limits.answer)
    return copy
  }

  async #begin(monitor: Monitor, session: OvsdbSession): Promise<CopyKind> {
    const { limits, logger } = this.#options
    try {
      return await monitor.begin(session, limits.copy)
    } catch (thrown) {
      const isRefused = thrown instanceof OvsdbError && thrown.failure === 'refused'
      if (!isRefused) throw thrown
      const { name, older, optional = false } = monitor.spec
      if (older !== undefined) return await monitor.begin(session, limits.copy, older)
      if (!optional) throw thrown
      monitor.stop()
      logger.warn({ monitor: name, cause: causeText(thrown) }, 'OVSDB server refuses a monitor')
      return 'resumed'
    }
  }

  /** Called by a session. */
  seen(): ClusterPosition | undefined {
    return this.#current?.watch.position ?? this.#seen
  }

  /** Called by a session. */
  notify(candidate: Candidate, method: string, params: unknown): void {
    if (candidate.watch.notify(method, params)) {
      if (candidate === this.#current) this.#seen = candidate.watch.position ?? this.#seen
      return
    }
    if (candidate !== this.#current) return
    if (this.#monitors.some((monitor) => monitor.notify(method, params)))
      void this.#locate(candidate)
  }

  /** The cluster is at least where it was when it had what has just come. One query at a time, and one after the last update. */
  async #locate(candidate: Candidate): Promise<void> {
    this.#hasMoved = true
    if (this.#isLocating) return
    this.#isLocating = true
    try {
      while (this.#hasMoved && candidate === this.#current) {
        this.#hasMoved = false
        await candidate.watch.locate()
        if (candidate === this.#current) this.#seen = candidate.watch.position ?? this.#seen
      }
    } catch {
      // The session has ended, which is reported elsewhere.
    } finally {
      this.#isLocating = false
    }
  }

  /** Called by a session. What came before an echo but is not in the copies yet is not confirmed. */
  echoed(candidate: Candidate, requestedAt: MonotonicMilliseconds): void {
    if (candidate !== this.#current || this.isBehind) return
    this.#confirmedAt = Math.max(this.#confirmedAt ?? -Infinity, requestedAt)
  }

  #noteProblem(server: OvsdbEndpoint, thrown: unknown, wasLive = false): void {
    if (this.#stopping.signal.aborted) return
    const endpoint = ovsdbEndpointText(server)
    const cause = causeText(thrown)
    const { logger } = this.#options
    if (wasLive) logger.warn({ endpoint, cause }, 'OVSDB session ended, reconnecting')
    else this.#reportUnusable(endpoint, cause)
    // Another server that is looked at beside a session changes nothing for the session.
    if (this.#current !== undefined) return
    this.#become({ kind: 'connecting', lastProblem: `${endpoint}: ${cause}` })
  }

  /** A server that is away is news once, until there is a session again; one that is looked at beside a session is none. */
  #reportUnusable(endpoint: string, cause: string): void {
    const { logger } = this.#options
    const isNews = this.#current === undefined && this.#reported.get(endpoint) !== cause
    if (isNews) this.#reported.set(endpoint, cause)
    logger[isNews ? 'warn' : 'debug']({ endpoint, cause }, 'OVSDB server cannot be used')
  }

  #become(state: OvsdbState): void {
    if (state.kind === 'live') this.#reported.clear()
    if (this.#state.kind === 'closed') return
    this.#state = state
    for (const listener of this.#listeners) listener(state)
  }
}

function asOvsdbError(thrown: unknown): OvsdbError {
  return thrown instanceof OvsdbError
    ? thrown
    : new OvsdbError('protocol', causeText(thrown), { cause: thrown })
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, order: random() }))
    .toSorted((a, b) => a.order - b.order)
    .map(({ item }) => item)
}
