/** Who accepts on the sockets, and who follows when one dies? */
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { Backoff } from '../../lib/runtime/backoff.ts'
import { restoreNonBlocking } from '../linux/non-blocking.ts'
import type { OpenListener } from '../namespaces/listener-status.ts'
import type { ListenerSink } from '../namespaces/listeners.ts'
import type {
  AgentAddress,
  AgentReport,
  ForwardingReport,
  RecentRequests,
  RequestRecord,
  WorkerConfig,
  CanaryOutcome,
} from '../worker/shared/protocol.ts'
import {
  WorkerProcess,
  type Lifelines,
  type TakeoverPlace,
  type WorkerBreach,
  type WorkerReport,
  type WorkerState,
} from './worker-process.ts'
import type { UnprivilegedProgram } from '../privileges/start-unprivileged.ts'
import { breachAdvice } from './breach-advice.ts'
import { ServiceRecord } from './service-record.ts'
import { WorkerMetricsSum } from './worker-metrics.ts'
import { WorkerQueries } from './worker-queries.ts'
import type { Registry } from '../../lib/observe/metrics.ts'

/** How one worker is, for status. */
export interface WorkerStatus {
  readonly pid: number
  readonly state: WorkerState
  /** When it was started, in ISO 8601. */
  readonly since: string
  /** How many took this place before it. */
  readonly restarts: Count
  /** How it finds the agents; empty until it has used one. */
  readonly agents: readonly AgentReport[]
  /** Absent before its first answer to a ping. */
  readonly forwarding?: ForwardingReport
}

export interface WorkerPoolOptions {
  readonly program: UnprivilegedProgram
  readonly config: WorkerConfig
  readonly count: Count
  readonly clock: Clock
  readonly logger: Logger
  readonly onListening: (listenerIds: readonly number[]) => void
  readonly onRefused: (listenerId: number, cause: string) => void
  readonly onRestart: () => void
  readonly onBreach: (breach: WorkerBreach) => void
  /** Process ids of all workers that run, whenever one is started. */
  readonly onStart?: (pids: readonly number[]) => void
  /** A worker has ended, for whatever reason. */
  readonly onEnd?: () => void
  readonly onCanary?: (canaryId: number, outcome: CanaryOutcome) => void
  /** Absent, workers end soon after this process. */
  readonly lifelines?: Lifelines | undefined
}

/** All but the first. */
type Tail<All extends readonly unknown[]> = All extends [unknown, ...infer Rest] ? Rest : never

interface Place {
  worker: WorkerProcess | undefined
  restarts: Count
  readonly backoff: Backoff
  cancelStart: Cancel | undefined
}

/** A child that ran this long did not fail at start: its back-off is reset. */
const grownUp: Milliseconds = 5_000
const firstPause: Milliseconds = 100
const longestPause: Milliseconds = 10_000

/**
 * Keeps a number of workers running, each with a copy of every listening socket. The supervisor's own copies stay open, so that the
 * kernel goes on accepting into their queues while a worker is replaced.
 */
export class WorkerPool implements ListenerSink {
  readonly #options: WorkerPoolOptions
  readonly #places: Place[] = []
  readonly #listeners = new Map<number, OpenListener>()
  readonly record: ServiceRecord
  readonly #metrics = new WorkerMetricsSum()
  readonly #queries: WorkerQueries
  #takeover: TakeoverPlace | undefined
  #config: WorkerConfig
  #drainLimit: Milliseconds | undefined
  #drained: (() => void) | undefined

  constructor(options: WorkerPoolOptions) {
    this.#options = options
    this.#config = options.config
    this.record = new ServiceRecord(options.clock)
    this.#queries = new WorkerQueries(options.clock)
  }

  start(): void {
    for (let index = 0; index < this.#options.count; index += 1) {
      const place: Place = {
        worker: undefined,
        restarts: 0,
        backoff: new Backoff(firstPause, longestPause),
        cancelStart: undefined,
      }
      this.#places.push(place)
      this.#startWorker(place)
    }
  }

  add(listeners: readonly OpenListener[]): void {
    for (const listener of listeners) {
      this.#listeners.set(listener.description.listenerId, listener)
    }
    for (const { worker } of this.#places) worker?.add(listeners)
  }

  remove(listenerIds: readonly number[]): void {
    for (const listenerId of listenerIds) this.#listeners.delete(listenerId)
    for (const { worker } of this.#places) worker?.remove(listenerIds)
  }

  /** Other agents, or another certificate for them, for workers that run and those to come. */
  reconfigureAgents(addresses: readonly AgentAddress[]): void {
    this.#config = { ...this.#config, agent: { ...this.#config.agent, addresses } }
    for (const { worker } of this.#places) worker?.reconfigureAgents(addresses)
  }

  /** What workers do once this process is gone. @param takeover `undefined`: they end soon after it */
  serveUntilTakeover(takeover: TakeoverPlace | undefined): void {
    this.#takeover = takeover
    for (const { worker } of this.#places) worker?.serveUntilTakeover(takeover)
  }

  /** Has one of the workers check, each in its turn. @returns false when none can */
  sendCanary(canaryId: number, fd: number): boolean {
    const ready = this.#places.flatMap(({ worker }) => (worker?.state === 'ready' ? worker : []))
    return ready[canaryId % ready.length]?.sendCanary(canaryId, fd) ?? false
  }

  /** Of the processes that run, however they are. */
  get pids(): readonly number[] {
    return this.#places.flatMap(({ worker }) => worker?.pid ?? [])
  }

  status(): WorkerStatus[] {
    return this.#places.map(({ worker, restarts }) => ({
      pid: worker?.pid ?? 0,
      state: worker?.state ?? 'gone',
      since: worker === undefined ? '' : new Date(worker.startedAt).toISOString(),
      restarts,
      agents: worker?.agents ?? [],
      ...(worker?.forwarding && { forwarding: worker.forwarding }),
    }))
  }

  /** The sums over all workers. One that does not answer in time counts with its last report. */
  async metrics(): Promise<Registry> {
    await this.#query(
      (_, id) => ({ kind: 'metrics', id }),
      ({ pid }, answer) => {
        if (answer.kind === 'metrics') this.#metrics.record(pid, answer.metrics)
      },
    )
    return this.#metrics.sum()
  }

  /** Until a guest was served, each call queries the workers: the first one is not to wait for a heartbeat. */
  async noteServed(): Promise<void> {
    if (this.record.servedAt !== undefined) return
    await this.#query(
      (_, id) => ({ kind: 'ping', id }),
      () => undefined,
    )
  }

  /** What became of a request of a guest; `undefined` when no worker knows it. */
  async findRequest(requestId: string): Promise<RequestRecord | undefined> {
    let found: RequestRecord | undefined
    await this.#query(
      (_, id) => ({ kind: 'find-request', id, requestId }),
      (_, answer) => {
        if (answer.kind === 'request-record') found ??= answer.record
      },
    )
    return found
  }

  /**
   * Requests that are over since the workers were last queried.
   * @param known what each answered then, by its process; one that is not there only answers what to begin with
   */
  async recentRequests(
    known: ReadonlyMap<number, Count>,
  ): Promise<ReadonlyMap<number, RecentRequests>> {
    const answers = new Map<number, RecentRequests>()
    await this.#query(
      ({ pid }, id) => {
        const after = known.get(pid)
        return { kind: 'list-requests', id, ...(after !== undefined && { after }) }
      },
      ({ pid }, answer) => {
        if (answer.kind === 'recent-requests') answers.set(pid, answer.requests)
      },
    )
    return answers
  }

  #query(...query: Tail<Parameters<WorkerQueries['query']>>): Promise<void> {
    const workers = this.#places.flatMap(({ worker }) => worker ?? [])
    return this.#queries.query(workers, ...query)
  }

  /** Lets every worker finish what it is doing, for so long; resolves when all are gone. */
  async close(limit: Milliseconds): Promise<void> {
    if (this.#drainLimit !== undefined) return
    this.#drainLimit = limit
    for (const { cancelStart } of this.#places) cancelStart?.()
    const running = this.#places.flatMap(({ worker }) => worker ?? [])
    if (running.length === 0) return
    await new Promise<void>((resolve) => {
      this.#drained = resolve
      for (const worker of running) worker.drain(limit)
    })
  }

  /** Lets every worker go on by itself and waits for none: another process follows. */
  leave(): void {
    this.#drainLimit = 0
    for (const { cancelStart, worker } of this.#places) {
      cancelStart?.()
      worker?.leave()
    }
  }

  #startWorker(place: Place): void {
    const { program, clock, logger } = this.#options
    place.cancelStart = undefined
    try {
      place.worker = new WorkerProcess({
        program,
        config: this.#config,
        clock,
        logger,
        lifelines: this.#options.lifelines,
        events: {
          ready: (worker) => {
            logger.info({ worker: worker.pid, listeners: this.#listeners.size }, 'Worker is ready')
            worker.add(this.#listeners.values())
            if (this.#takeover !== undefined) worker.serveUntilTakeover(this.#takeover)
          },
          message: (worker, message) => this.#receive(worker, message),
          served: (worker, count) => this.record.noteServed(worker.pid, count),
          breach: (worker, breach) => {
            this.#options.onBreach(breach)
            logger.error(
              { worker: worker.pid, breach, whatToDo: breachAdvice[breach] },
              'Killing a worker',
            )
            if (breach === 'silent') this.#endBlocking()
          },
          gone: (worker, why) => this.#replace(place, worker, why),
        },
      })
      this.#options.onStart?.(this.pids)
    } catch (cause) {
      logger.error({ cause: causeText(cause) }, 'Cannot start a worker')
      this.#startLater(place)
    }
  }

  /** One of the workers can make accept(2) wait in all of them. Which one it was is unknown, so all are replaced. */
  #endBlocking(): void {
    const { logger, onBreach } = this.#options
    // From then on the supervisor's own copies are closed, and their numbers may stand for something else.
    if (this.#drainLimit !== undefined) return
    const blocking = [...this.#listeners.values()].filter(({ fd }) => restoreNonBlocking(fd))
    if (blocking.length === 0) return
    onBreach('blocking')
    logger.error(
      { sockets: blocking.length, breach: 'blocking', whatToDo: breachAdvice.blocking },
      'Killing all workers',
    )
    for (const { worker } of this.#places) worker?.kill()
  }

  #startLater(place: Place): void {
    const pause = place.backoff.next()
    place.cancelStart = this.#options.clock.schedule(pause, () => this.#startWorker(place))
  }

  #receive(worker: WorkerProcess, message: WorkerReport): void {
    switch (message.kind) {
      case 'listening':
        this.#options.onListening(message.listenerIds)
        break
      case 'listen-failed':
        for (const { listenerId, cause } of message.failures) {
          this.#options.onRefused(listenerId, cause)
        }
        break
      case 'pong':
      case 'metrics':
      case 'request-record':
      case 'recent-requests':
        this.#queries.answered(worker, message)
        break
      case 'agents':
        worker.agents = message.agents
        break
      case 'canary':
        this.#options.onCanary?.(message.canaryId, message.outcome)
        break
      default:
        message satisfies never
    }
  }

  #replace(place: Place, worker: WorkerProcess, why: string): void {
    const { clock, logger, onRestart } = this.#options
    place.worker = undefined
    this.record.noteEnd(worker.pid)
    this.#options.onEnd?.()
    void this.#metrics.depart(worker.pid)
    this.#queries.gone(worker)
    if (this.#drainLimit !== undefined) {
      if (this.#places.every((one) => one.worker === undefined)) this.#drained?.()
      return
    }
    place.restarts += 1
    this.record.noteDeath()
    onRestart()
    const age = clock.now() - worker.since
    logger.error({ worker: worker.pid, why, age: Math.round(age) }, 'Worker died, starting another')
    if (age >= grownUp) place.backoff.reset()
    if (age >= grownUp || place.restarts === 1) this.#startWorker(place)
    else this.#startLater(place)
  }
}
