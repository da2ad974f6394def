/** How do workers and rules survive the end of this supervisor, and those of the one before its own? */
import { closeSync } from 'node:fs'
import { startable, type Part } from '../../lib/runtime/lifecycle.ts'
import type { ProxyMetrics } from '../admin/metrics.ts'
import type { Surroundings } from '../config/surroundings.ts'
import type { Listeners } from '../namespaces/listeners.ts'
import type { WorkerPool } from '../supervisor/worker-pool.ts'
import { LeftWorkers, type WorkerRecord } from './left-workers.ts'
import type { RestartState } from './restart-state.ts'
import { TakeoverSocket, takeoverSocketPath } from './takeover-socket.ts'
import { untilServing } from './wait-until-serving.ts'

/** What is carried from one supervisor to the next. */
export interface TakeoverOptions {
  readonly restart: RestartState | undefined
  readonly record: WorkerRecord
  readonly pool: WorkerPool
  readonly listeners: Listeners
  readonly metrics: ProxyMetrics
  /** False until the namespaces were looked at for the first time. */
  readonly hasLooked: () => boolean
  /** Of the workers before, none is left but those that finish what is under way. */
  readonly onGone: () => void
}

/** Follows a supervisor and leaves workers to the next one. */
export class Takeover {
  readonly #around: Surroundings
  readonly #options: TakeoverOptions
  readonly #socket: TakeoverSocket
  readonly #leftWorkers: LeftWorkers
  readonly #hasLeftWorkers: boolean
  #leavesWorkers: boolean
  #hasTakenOver = false

  constructor(around: Surroundings, options: TakeoverOptions) {
    const { config, clock, logger } = around
    const { restart, record, pool, listeners, metrics, onGone } = options
    this.#around = around
    this.#options = options
    this.#hasLeftWorkers = restart?.hasLeftWorkers === true
    this.#leavesWorkers = restart?.store !== undefined
    this.#socket = new TakeoverSocket({
      path: takeoverSocketPath(config.admin.socket),
      // With a store the service manager keeps workers going.
      limit: restart?.store === undefined ? config.restart.serve_after_crash : 0,
      onChange: (takeover) => pool.serveUntilTakeover(takeover),
      clock,
      logger,
    })
    this.#leftWorkers = new LeftWorkers({
      record,
      onGone: () => {
        onGone()
        for (const { attachment } of listeners.holdings()) listeners.retry(attachment.key)
      },
      onKill: () => metrics.workerBreaches.inc({ breach: 'stayed' }),
      clock,
      logger,
    })
  }

  /** Workers serve on after this supervisor, until the next one does. */
  get leavesWorkers(): boolean {
    return this.#leavesWorkers
  }

  /** Whoever serves after this supervisor has the same rules in place already. */
  get keepsRules(): boolean {
    const { intercept } = this.#around.config
    const isBeforeTakeover = this.#hasLeftWorkers && !this.#hasTakenOver
    return intercept.keep_on_exit || this.#leavesWorkers || isBeforeTakeover
  }

  leaveWorkers(): void {
    this.#leavesWorkers ||= this.#around.config.restart.serve_after_crash > 0
  }

  /** Once this supervisor serves, what ran before it ends. */
  readonly following: Part = startable(
    'what ran before',
    () => this.#follow(),
    () => this.#close(),
  )

  /** From its start on workers survive this supervisor. */
  readonly surviving: Part = startable(
    'takeover socket',
    async () => void (await this.#socket.start()),
    () => this.#close(),
  )

  async #follow(): Promise<void> {
    const { restart } = this.#options
    const lifelines = restart?.lifelines ?? []
    if (lifelines.length > 0 || this.#hasLeftWorkers) {
      await untilServing({ isServing: () => this.#isServing, clock: this.#around.clock })
    }
    for (const fd of lifelines) {
      restart?.store?.remove(fd, 'lifeline')
      closeSync(fd)
    }
    const areReleased = !this.#hasLeftWorkers || (await this.#socket.start())
    await this.#leftWorkers.seeOff(areReleased)
    this.#options.onGone()
    this.#hasTakenOver = true
  }

  get #isServing(): boolean {
    const { listeners, pool, hasLooked } = this.#options
    let opening = 0
    listeners.count((_kind, state) => (opening += state === 'opening' ? 1 : 0))
    return hasLooked() && opening === 0 && pool.status().every(({ state }) => state === 'ready')
  }

  #close(): void {
    this.#leftWorkers.close()
    if (this.#leavesWorkers) this.#socket.leave()
    else this.#socket.close()
  }
}
