/** How is one unprivileged worker started, given its sockets, and ended? */
import type { ChildProcess } from 'node:child_process'
import { closeSync } from 'node:fs'
import type {
  Cancel,
  Clock,
  EpochMilliseconds,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../lib/clock.ts'
import { causeText } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { OpenListener } from '../listeners.ts'
import { descriptorsPerMessage, sendDescriptors, SystemCallError } from '../netns/libc.ts'
import type {
  AgentAddress,
  AgentReport,
  FromWorker,
  ToWorker,
  WorkerConfig,
} from '../worker/protocol.ts'
import {
  startUnprivileged,
  whyNotTrusted,
  type UnprivilegedProgram,
} from './unprivileged-program.ts'

/** `starting` until it says that it is ready, `draining` once asked to stop. */
export type WorkerState = 'starting' | 'ready' | 'draining' | 'gone'

/** What a worker's keeper wants to hear. */
export interface WorkerEvents {
  readonly ready: (worker: WorkerProcess) => void
  readonly message: (worker: WorkerProcess, message: FromWorker) => void
  readonly gone: (worker: WorkerProcess, why: string) => void
}

export interface WorkerProcessOptions {
  readonly program: UnprivilegedProgram
  readonly config: WorkerConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly events: WorkerEvents
  readonly lifelines?: Lifelines | undefined
}

/** Keeps descriptors beyond the end of this process. A worker without an opener goes on for as long as its own is kept. */
export interface Lifelines {
  /** At most. */
  readonly limit: Milliseconds
  add(fd: number): void
  remove(fd: number): void
}

/** What a worker does when this process dies without a word. */
export interface Outliving {
  /** Goes on so long at most. */
  readonly limit: Milliseconds
  /** A listening socket, for the next opener to ask at. */
  readonly fd: number
}

/** While the worker has not yet taken what was sent before. */
const sendAgain: Milliseconds = 5
/** A worker that takes nothing for so long is stuck. */
const stuckAfter: Milliseconds = 10_000
/** From the start of the program to `ready`. */
const readyLimit: Milliseconds = 20_000

/** One worker process: what it was given, how it is, and its end. */
export class WorkerProcess {
  readonly since: MonotonicMilliseconds
  /** The same by the wall clock, for people. */
  readonly startedAt: EpochMilliseconds
  /** What it said last. */
  agents: readonly AgentReport[] = []
  readonly #options: WorkerProcessOptions
  readonly #child: ChildProcess
  readonly #channel: number
  /** Not yet sent; the descriptor is looked up here at the moment of sending. */
  readonly #unsent = new Map<number, OpenListener>()
  #outliving: Outliving | undefined
  #state: WorkerState = 'starting'
  #cancelSend: Cancel | undefined
  #cancelReadyLimit: Cancel
  #waitingSince: MonotonicMilliseconds | undefined

  /** @throws NodeJS.ErrnoException when the process cannot be started */
  constructor(options: WorkerProcessOptions) {
    const { program, clock, events } = options
    this.#options = options
    this.since = clock.now()
    this.startedAt = clock.wallTime()
    const { child, channel } = startUnprivileged(program)
    this.#child = child
    this.#channel = channel
    this.#cancelReadyLimit = clock.schedule(readyLimit, () => this.#fail('was not ready in time'))
    this.#child.on('error', (cause) => this.#end(causeText(cause)))
    this.#child.on('exit', (code, signal) => this.#end(`ended with ${String(code ?? signal)}`))
    this.#child.on('message', (message) => {
      // Only our own program holds the other end of the channel.
      const said = message as FromWorker
      if (said.kind === 'ready') this.#becomeReady()
      else events.message(this, said)
    })
    this.#tell({ kind: 'configure', config: options.config })
  }

  /** 0 when the process could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0
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
    this.#send()
  }

  /** Lets it close its copies. */
  remove(listenerIds: readonly number[]): void {
    const sent = listenerIds.filter((listenerId) => !this.#unsent.delete(listenerId))
    if (sent.length > 0) this.#tell({ kind: 'close-listeners', listenerIds: sent })
  }

  /** @param outliving `undefined`: it ends soon after this process */
  outlive(outliving: Outliving | undefined): void {
    if (this.#state !== 'ready') return
    this.#outliving = outliving
    if (outliving === undefined) this.#tell({ kind: 'outlive', limit: 0, owner: 0 })
    else this.#send()
  }

  reconfigureAgents(addresses: readonly AgentAddress[]): void {
    this.#tell({ kind: 'reconfigure-agents', addresses })
  }

  askMetrics(id: number): void {
    if (this.#state === 'ready') this.#tell({ kind: 'metrics', id })
  }

  findRequest(id: number, requestId: string): void {
    if (this.#state === 'ready') this.#tell({ kind: 'find-request', id, requestId })
  }

  /** Lets it ask over a socket that is connecting. @returns false when it cannot take it now */
  askCanary(canaryId: number, fd: number): boolean {
    if (this.#state !== 'ready') return false
    try {
      sendDescriptors(this.#channel, [fd])
    } catch {
      return false
    }
    this.#tell({ kind: 'ask-canary', canaryId })
    return true
  }

  /** Asks it to finish what it is doing; it is gone when it has, or when the limit is over. */
  drain(limit: Milliseconds): void {
    if (this.#state === 'gone') return
    this.#state = 'draining'
    this.#unsent.clear()
    this.#outliving = undefined
    this.#tell({ kind: 'drain', limit })
    this.#options.clock.schedule(limit + 1_000, () => this.kill())
  }

  /** Lets it go on by itself, as {@link WorkerProcessOptions.lifelines} says; this process does not wait for its end. */
  leave(): void {
    if (this.#state === 'gone') return
    this.#state = 'draining'
    this.#unsent.clear()
    this.#outliving = undefined
    this.#child.unref()
    if (this.#child.connected) this.#child.disconnect()
  }

  kill(): void {
    if (this.#state !== 'gone') this.#child.kill('SIGKILL')
  }

  /** A worker that kept a privilege never gets a socket. */
  #becomeReady(): void {
    if (this.#state !== 'starting') return
    this.#cancelReadyLimit()
    const why = whyNotTrusted(this.pid, this.#options.program.account)
    if (why !== undefined) {
      this.#fail(why)
      return
    }
    this.#state = 'ready'
    const { lifelines } = this.#options
    if (lifelines !== undefined) {
      lifelines.add(this.#channel)
      this.#tell({ kind: 'linger', limit: lifelines.limit })
    }
    this.#options.events.ready(this)
  }

  #send(): void {
    this.#cancelSend?.()
    this.#cancelSend = undefined
    while (this.#unsent.size > 0 && this.#state === 'ready') {
      const batch = [...this.#unsent.values()].slice(0, descriptorsPerMessage)
      try {
        sendDescriptors(
          this.#channel,
          batch.map(({ fd }) => fd),
        )
      } catch (cause) {
        this.#sendLater(cause)
        return
      }
      this.#waitingSince = undefined
      this.#tell({ kind: 'listeners', listeners: batch.map(({ description }) => description) })
      for (const { description } of batch) this.#unsent.delete(description.listenerId)
    }
    this.#sendOutliving()
  }

  /** Once it has every socket: without, it would be of no use to the next opener. */
  #sendOutliving(): void {
    const outliving = this.#outliving
    if (outliving === undefined || this.#state !== 'ready') return
    try {
      sendDescriptors(this.#channel, [outliving.fd])
    } catch (cause) {
      this.#sendLater(cause)
      return
    }
    this.#waitingSince = undefined
    this.#outliving = undefined
    const owner = process.geteuid?.() ?? 0
    this.#tell({ kind: 'outlive', limit: outliving.limit, owner })
  }

  #sendLater(cause: unknown): void {
    const { clock } = this.#options
    const isBehind = cause instanceof SystemCallError && cause.errnoName === 'EAGAIN'
    this.#waitingSince ??= clock.now()
    if (!isBehind || clock.now() - this.#waitingSince > stuckAfter) {
      this.#fail(`cannot be given sockets: ${causeText(cause)}`)
      return
    }
    this.#cancelSend = clock.schedule(sendAgain, () => this.#send())
  }

  #tell(message: ToWorker): void {
    if (!this.#child.connected) return
    // A worker that ended is noticed by its exit.
    this.#child.send(message, () => undefined)
  }

  #fail(why: string): void {
    this.#options.logger.error({ worker: this.pid, why }, 'Worker is not used')
    this.kill()
  }

  #end(why: string): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#cancelReadyLimit()
    this.#cancelSend?.()
    this.#unsent.clear()
    this.#outliving = undefined
    this.#options.lifelines?.remove(this.#channel)
    closeSync(this.#channel)
    this.#options.events.gone(this, why)
  }
}
