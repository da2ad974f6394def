/** How is one unprivileged worker started, given its sockets, watched, and ended? */
import type {
  Bytes,
  Cancel,
  Clock,
  Count,
  EpochMilliseconds,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { ChannelBreach } from '../../lib/wire/json-line-channel.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { OpenListener } from '../namespaces/listener-status.ts'
import { descriptorsPerMessage } from '../../lib/linux/descriptor-messages.ts'
import { isErrno } from '../../lib/linux/libc.ts'
import type {
  AgentAddress,
  AgentReport,
  ForwardingReport,
  FromWorker,
  ToWorker,
  WorkerConfig,
} from '../worker/shared/protocol.ts'
import { readFromWorker } from '../worker/shared/read-from-worker.ts'
import { answerKey, fitsQuery, type WorkerQuery } from './worker-query.ts'
import { Heartbeat } from './heartbeat.ts'
import { SupervisedChild } from './supervised-child.ts'
import type { UnprivilegedProgram } from '../privileges/start-unprivileged.ts'

/** `starting` until it reports that it is ready, `draining` once it has the order to stop. */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'gone'

/** Why a worker was killed: what it did on its channel or to sockets that all share (`blocking`), or that it did nothing (`silent`). */
export type WorkerBreach = ChannelBreach | 'silent' | 'blocking'

/** Callbacks for whoever keeps the worker. `served`: how many answers of status 2xx it has given until now. */
export interface WorkerEvents {
  readonly ready: (worker: WorkerProcess) => void
  /** An answer to a query, or how it finds its agents. */
  readonly message: (worker: WorkerProcess, message: WorkerReport) => void
  readonly served: (worker: WorkerProcess, count: Count) => void
  /** It is going to be killed. */
  readonly breach: (worker: WorkerProcess, breach: WorkerBreach) => void
  readonly gone: (worker: WorkerProcess, why: string) => void
}

/** What is left of a worker's messages for its keeper. */
export type WorkerReport = Exclude<FromWorker, { kind: 'ready' | 'drained' }>

export interface WorkerProcessOptions {
  readonly program: UnprivilegedProgram
  readonly config: WorkerConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly events: WorkerEvents
  readonly lifelines?: Lifelines | undefined
}

/** Keeps descriptors beyond the end of this process. A worker without a supervisor serves for as long as its own is kept. */
export interface Lifelines {
  /** At most. */
  readonly deadline: Milliseconds
  add(fd: number): void
  remove(fd: number): void
}

/** Where workers are found by the next supervisor, should this one end without them. */
export interface TakeoverPlace {
  /** Workers serve so long at most. */
  readonly deadline: Milliseconds
  /** A listening socket, which the next supervisor connects to. */
  readonly fd: number
}

/** While the worker has not yet taken what was sent before. */
const sendAgain: Milliseconds = 5
/** A worker that takes nothing for so long is stuck. */
const stuckAfter: Milliseconds = 10_000
/** Metrics of all series are far smaller, and the reports of many listeners as well. */
const longestLine: Bytes = 2 ** 20
/** Queries under way; their callers do not wait long. */
const mostQueries: Count = 1_024

/** One worker process: what it was given, how it is, and its end. */
export class WorkerProcess {
  readonly since: MonotonicMilliseconds
  /** The same by the wall clock, for people. */
  readonly startedAt: EpochMilliseconds
  /** As it reported them last. */
  agents: readonly AgentReport[] = []
  forwarding: ForwardingReport | undefined
  readonly #options: WorkerProcessOptions
  readonly #child: SupervisedChild<FromWorker>
  readonly #heartbeat: Heartbeat
  /** Not yet sent; the descriptor is looked up here at the moment of sending. */
  readonly #unsent = new Map<number, OpenListener>()
  /** Listeners that it was given and has not answered for. */
  readonly #unanswered = new Set<number>()
  /** Queries that it has not answered, with what an answer must fit. */
  readonly #queries = new Map<string, (message: FromWorker) => boolean>()
  #takeover: TakeoverPlace | undefined
  #state: WorkerState = 'starting'
  #cancelSend: Cancel | undefined
  #waitingSince: MonotonicMilliseconds | undefined

  /** @throws NodeJS.ErrnoException when the process cannot be started */
  constructor(options: WorkerProcessOptions) {
    const { program, clock, logger, events } = options
    this.#options = options
    this.since = clock.now()
    this.startedAt = clock.wallTime()
    this.#child = new SupervisedChild({
      program,
      clock,
      longestLine,
      read: readFromWorker,
      onMessage: (message) => this.#receive(message),
      onBreach: (breach) => events.breach(this, breach),
      onUnusable: (why) => logger.error({ worker: this.pid, why }, 'Worker is not used'),
      onGone: (why) => this.#end(why),
    })
    this.#heartbeat = new Heartbeat({
      clock,
      ping: (id) => this.#send({ kind: 'ping', id }),
      onSilent: () => {
        events.breach(this, 'silent')
        this.kill()
      },
    })
    this.#send({ kind: 'configure', config: options.config })
  }

  /** 0 when the process could not be started. */
  get pid(): number {
    return this.#child.pid
  }

  get state(): WorkerState {
    return this.#state
  }

  /** Gives it sockets to accept on; it has copies from then on. */
  add(listeners: Iterable<OpenListener>): void {
    if (this.#state !== 'ready') return
    for (const listener of listeners) {
      this.#unsent.set(listener.description.listenerId, listener)
    }
    this.#sendListeners()
  }

  /** Lets it close its copies. */
  remove(listenerIds: readonly number[]): void {
    const sent = listenerIds.filter((listenerId) => !this.#unsent.delete(listenerId))
    for (const listenerId of sent) this.#unanswered.delete(listenerId)
    if (sent.length > 0) this.#send({ kind: 'close-listeners', listenerIds: sent })
  }

  /** Lets it serve without this process, until the next one takes over. @param takeover `undefined`: it ends soon after this process */
  serveUntilTakeover(takeover: TakeoverPlace | undefined): void {
    if (this.#state !== 'ready') return
    this.#takeover = takeover
    if (takeover === undefined) this.#send({ kind: 'serve-until', order: { deadline: 0 } })
    else this.#sendListeners()
  }

  reconfigureAgents(addresses: readonly AgentAddress[]): void {
    this.#send({ kind: 'reconfigure-agents', addresses })
  }

  /** What it answers reaches whoever keeps it as a message with the same id. */
  query(query: WorkerQuery): void {
    if (this.#state !== 'ready') return
    this.#expect(answerKey(query), (answer) => fitsQuery(query, answer))
    this.#send(query)
  }

  /** Has it check over a socket that is connecting. @returns false when it cannot take it now */
  sendCanary(canaryId: number, fd: number): boolean {
    if (this.#state !== 'ready') return false
    try {
      this.#child.sendDescriptors([fd])
    } catch {
      return false
    }
    this.#expect(`canary ${canaryId}`)
    this.#send({ kind: 'check-canary', canaryId })
    return true
  }

  /** Orders it to finish what it is doing; it is gone when it has, or when the limit is over. */
  drain(limit: Milliseconds): void {
    if (this.#state === 'gone') return
    this.#becomeDraining()
    this.#send({ kind: 'drain', limit })
    this.#options.clock.schedule(limit + 1_000, () => this.kill())
  }

  /** Lets it go on by itself, by its order; this process does not wait for its end. */
  leave(): void {
    if (this.#state === 'gone') return
    this.#becomeDraining()
    this.#child.leave()
  }

  kill(): void {
    if (this.#state !== 'gone') this.#child.kill()
  }

  #becomeDraining(): void {
    this.#state = 'draining'
    this.#heartbeat.stop()
    this.#unsent.clear()
    this.#takeover = undefined
  }

  /** Only answers to queries count, so a worker can report as much as was queried and no more. */
  #receive(message: FromWorker): void {
    const { events } = this.#options
    switch (message.kind) {
      case 'ready':
        this.#becomeReady()
        return
      case 'pong':
        this.#heartbeat.answered(message.id)
        this.forwarding = message.forwarding
        events.served(this, message.served)
        if (this.#isExpected(`pong ${message.id}`, message)) events.message(this, message)
        return
      case 'listening': {
        const listenerIds = message.listenerIds.filter((one) => this.#unanswered.delete(one))
        events.message(this, { ...message, listenerIds })
        return
      }
      case 'listen-failed': {
        const failures = message.failures.filter(({ listenerId }) =>
          this.#unanswered.delete(listenerId),
        )
        events.message(this, { ...message, failures })
        return
      }
      case 'canary':
        if (this.#isExpected(`canary ${message.canaryId}`, message)) events.message(this, message)
        return
      case 'metrics':
      case 'request-record':
      case 'recent-requests':
        if (!this.#isExpected(`${message.kind} ${message.id}`, message)) return
        events.message(this, message)
        return
      case 'agents':
        events.message(this, message)
        return
      case 'drained':
        return
      default:
        message satisfies never
    }
  }

  #expect(query: string, fits: (message: FromWorker) => boolean = () => true): void {
    this.#queries.set(query, fits)
    const [oldest] = this.#queries.keys()
    if (oldest === undefined || this.#queries.size <= mostQueries) return
    this.#queries.delete(oldest)
  }

  #isExpected(query: string, message: FromWorker): boolean {
    const fits = this.#queries.get(query)
    this.#queries.delete(query)
    return fits?.(message) === true
  }

  /** A worker that kept a privilege never gets a socket. */
  #becomeReady(): void {
    if (this.#state !== 'starting' || !this.#child.isTrustworthy()) return
    this.#state = 'ready'
    this.#heartbeat.start()
    const { lifelines } = this.#options
    if (lifelines !== undefined) {
      lifelines.add(this.#child.descriptorChannel)
      this.#send({ kind: 'serve-until', order: { deadline: lifelines.deadline } })
    }
    this.#options.events.ready(this)
  }

  #sendListeners(): void {
    this.#cancelSend?.()
    this.#cancelSend = undefined
    while (this.#unsent.size > 0 && this.#state === 'ready') {
      const batch = [...this.#unsent.values()].slice(0, descriptorsPerMessage)
      if (!this.#sendDescriptors(batch.map(({ fd }) => fd))) return
      this.#send({ kind: 'listeners', listeners: batch.map(({ description }) => description) })
      for (const { description } of batch) {
        this.#unsent.delete(description.listenerId)
        this.#unanswered.add(description.listenerId)
      }
    }
    this.#sendTakeover()
  }

  /** Once it has every socket: without, it would be of no use to the next supervisor. */
  #sendTakeover(): void {
    const takeover = this.#takeover
    if (takeover === undefined || this.#state !== 'ready') return
    if (!this.#sendDescriptors([takeover.fd])) return
    this.#takeover = undefined
    const owner = process.geteuid?.() ?? 0
    const { deadline } = takeover
    this.#send({ kind: 'serve-until', order: { deadline, takeover: { owner } } })
  }

  /** @returns false when they cannot be sent now; that is seen to */
  #sendDescriptors(fds: readonly number[]): boolean {
    const { clock } = this.#options
    try {
      this.#child.sendDescriptors(fds)
      this.#waitingSince = undefined
      return true
    } catch (cause) {
      // One that is gone is noticed by its exit.
      if (['EPIPE', 'ECONNRESET'].some((name) => isErrno(cause, name))) return false
      this.#waitingSince ??= clock.now()
      if (!isErrno(cause, 'EAGAIN') || clock.now() - this.#waitingSince > stuckAfter) {
        this.#child.fail(`cannot be given sockets: ${causeText(cause)}`)
      } else {
        this.#cancelSend = clock.schedule(sendAgain, () => this.#sendListeners())
      }
      return false
    }
  }

  #send(message: ToWorker): void {
    this.#child.send(message)
  }

  #end(why: string): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#heartbeat.stop()
    this.#cancelSend?.()
    this.#unsent.clear()
    this.#options.lifelines?.remove(this.#child.descriptorChannel)
    this.#options.events.gone(this, why)
  }
}
