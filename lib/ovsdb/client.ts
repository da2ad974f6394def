import type { Socket } from 'node:net'
import type { Bytes, Clock, Milliseconds, MonotonicMilliseconds } from '../clock.ts'
import { causeText } from '../errors.ts'
import type { Logger } from '../log.ts'
import {
  connectOvsdbEndpoint,
  ovsdbEndpointText,
  type OvsdbEndpoint,
  type OvsdbTlsFiles,
} from './endpoint.ts'
import { Monitor, type CopyKind, type MonitorSpec } from './monitor.ts'
import { OvsdbError } from './ovsdb-error.ts'
import { ServerWatch } from './server-watch.ts'
import type { ClusterPosition } from './server-status.ts'
import { OvsdbSession } from './session.ts'

export interface OvsdbClientOptions {
  readonly endpoints: readonly OvsdbEndpoint[]
  readonly tls?: OvsdbTlsFiles
  /**
   * Connects in another way, for a process that may not open sockets or files by itself. The signal ends the attempt.
   * @default by what the endpoint says, with `tls`
   */
  readonly connect?: (endpoint: OvsdbEndpoint, signal: AbortSignal) => Promise<Socket>
  readonly database: string
  /** Take only the leader of a cluster: never behind, at the price of all clients being on one server. */
  readonly leaderOnly: boolean
  readonly clock: Clock
  readonly logger: Logger
  /** From 0 to below 1, for the order of endpoints and for jitter. */
  readonly random: () => number
  readonly limits: OvsdbLimits
}

/** Times and sizes of a client. */
export interface OvsdbLimits {
  readonly connect: Milliseconds
  /** How long a server may prepare the first copy. */
  readonly copy: Milliseconds
  /** How long any other answer may take. */
  readonly answer: Milliseconds
  readonly probeInterval: Milliseconds
  readonly probeTimeout: Milliseconds
  /** First and longest pause between rounds over the endpoints; each is drawn between 0 and the pause. */
  readonly retryFirst: Milliseconds
  readonly retryLongest: Milliseconds
  readonly messageBytes: Bytes
}

/** How it stands between us and the servers. */
export type OvsdbState =
  | { readonly kind: 'connecting'; readonly lastProblem: string }
  | { readonly kind: 'live'; readonly endpoint: string; readonly copy: CopyKind }
  | { readonly kind: 'closed' }

/**
 * Keeps one session with one of several OVSDB servers, and copies of what its monitors ask for. It reconnects for
 * as long as it is open and gives up on nothing: how old a copy may become is decided by whoever answers from it.
 */
export class OvsdbClient {
  readonly #options: OvsdbClientOptions
  readonly #monitors: Monitor[] = []
  readonly #stopping = new AbortController()
  readonly #listeners = new Set<(state: OvsdbState) => void>()
  #state: OvsdbState = { kind: 'connecting', lastProblem: 'no attempt was made yet' }
  #session: OvsdbSession | undefined
  #lastLive: MonotonicMilliseconds | undefined
  #seen: ClusterPosition | undefined
  #running: Promise<void> | undefined

  constructor(options: OvsdbClientOptions) {
    this.#options = options
  }

  /** Adds a copy to be kept; before {@link start}. All but optional ones must be had for the session to be live. */
  addMonitor(spec: MonitorSpec): void {
    this.#monitors.push(new Monitor(spec, this.#options.clock))
  }

  /** Begins to connect and returns at once. */
  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the session and begins another one soon: what is to be monitored has changed. Before the first one nothing happens. */
  renew(): void {
    this.#session?.fail(new OvsdbError('closed', 'Something else is to be monitored'))
  }

  /** Ends the session and all attempts; may be called twice. */
  async close(): Promise<void> {
    this.#stopping.abort(new OvsdbError('closed', 'The client was closed'))
    this.#session?.fail(new OvsdbError('closed', 'The client was closed'))
    for (const monitor of this.#monitors) monitor.stop()
    await this.#running
    this.#become({ kind: 'closed' })
  }

  get state(): OvsdbState {
    return this.#state
  }

  /**
   * When the copies were last known to be right: the last message of a live session, `undefined` before the
   * first one.
   */
  get confirmedAt(): MonotonicMilliseconds | undefined {
    return this.#state.kind === 'live'
      ? (this.#session?.lastHeard ?? this.#lastLive)
      : this.#lastLive
  }

  /** Whether changes have come that are not in the copies yet: a long update is being taken in. */
  get isBehind(): boolean {
    return this.#monitors.some((monitor) => monitor.isBusy)
  }

  /** Tells of each change of {@link state}. @returns the function that ends the subscription */
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
    if (this.#session === undefined) throw new OvsdbError('closed', 'There is no session')
    const answer = await this.#session.request('transact', [database, ...operations], limits.answer)
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
    const { clock, limits, random } = this.#options
    let pause = limits.retryFirst
    while (!this.#stopping.signal.aborted) {
      if (await this.#round()) pause = limits.retryFirst
      if (this.#stopping.signal.aborted) return
      try {
        await clock.sleep(random() * pause, this.#stopping.signal)
      } catch {
        return
      }
      pause = Math.min(pause * 2, limits.retryLongest)
    }
  }

  /** Tries each endpoint once, in an order of its own. @returns whether one was live in the meantime */
  async #round(): Promise<boolean> {
    for (const endpoint of shuffled(this.#options.endpoints, this.#options.random)) {
      if (this.#stopping.signal.aborted) return false
      const wasLive = await this.#attempt(endpoint)
      if (wasLive) return true
    }
    return false
  }

  async #attempt(endpoint: OvsdbEndpoint): Promise<boolean> {
    const { clock, limits, logger } = this.#options
    const where = ovsdbEndpointText(endpoint)
    let isLive = false
    try {
      const socket = await this.#connect(endpoint)
      const watch = new ServerWatch(this.#options, () => this.#seen)
      const session = new OvsdbSession(socket, {
        clock,
        messageBytes: limits.messageBytes,
        probeInterval: limits.probeInterval,
        probeTimeout: limits.probeTimeout,
        messageTimeout: Math.max(limits.copy, limits.probeTimeout),
        onNotification: (method, params) => this.#notify(watch, method, params),
      })
      this.#session = session
      if (this.#stopping.signal.aborted) {
        session.fail(new OvsdbError('closed', 'The client was closed'))
      }
      const copy = await this.#prepare(session, watch)
      this.#seen = watch.position ?? this.#seen
      this.#become({ kind: 'live', endpoint: where, copy })
      isLive = true
      logger.info({ endpoint: where, copy }, 'OVSDB copy is complete')
      const reason = await session.ended
      this.#seen = watch.position ?? this.#seen
      throw reason
    } catch (thrown) {
      this.#lost(where, thrown, isLive)
    }
    return isLive
  }

  async #connect(endpoint: OvsdbEndpoint): Promise<Socket> {
    const { clock, limits, tls, connect } = this.#options
    const late = new AbortController()
    const cancel = clock.schedule(limits.connect, () => {
      late.abort(new OvsdbError('timeout', 'the connection was not made in time'))
    })
    try {
      const signal = AbortSignal.any([this.#stopping.signal, late.signal])
      if (connect !== undefined) return await connect(endpoint, signal)
      return await connectOvsdbEndpoint(endpoint, tls, signal)
    } finally {
      cancel()
    }
  }

  async #prepare(session: OvsdbSession, watch: ServerWatch): Promise<CopyKind> {
    try {
      await watch.begin(session)
      let copy: CopyKind = 'resumed'
      for (const monitor of this.#monitors) {
        if ((await this.#begin(monitor, session)) === 'full') copy = 'full'
      }
      return copy
    } catch (thrown) {
      session.fail(asOvsdbError(thrown))
      throw thrown
    }
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

  #notify(watch: ServerWatch, method: string, params: unknown): void {
    if (watch.notify(method, params)) return
    this.#monitors.some((monitor) => monitor.notify(method, params))
  }

  #lost(endpoint: string, thrown: unknown, wasLive: boolean): void {
    if (wasLive) this.#lastLive = this.#session?.lastHeard
    this.#session?.fail(asOvsdbError(thrown))
    this.#session = undefined
    if (this.#stopping.signal.aborted) return
    const lastProblem = `${endpoint}: ${causeText(thrown)}`
    const problem = { endpoint, cause: causeText(thrown) }
    if (wasLive) this.#options.logger.warn(problem, 'OVSDB session ended, reconnecting')
    else this.#options.logger.debug(problem, 'OVSDB server cannot be used')
    this.#become({ kind: 'connecting', lastProblem })
  }

  #become(state: OvsdbState): void {
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
