/** Since when is what wrong? Looks at the parts of a daemon now and then, and logs when its health changes. */
import type { Cancel, Clock, Milliseconds } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'
import {
  healthReport,
  type HealthReport,
  type HealthState,
  type PartHealth,
  type PartProblem,
  type ServedProof,
} from './health.ts'

export interface HealthWatchOptions {
  readonly parts: () => readonly PartHealth[]
  readonly served: () => ServedProof
  readonly clock: Clock
  readonly logger: Logger
}

const interval: Milliseconds = 1_000

const stateText: Readonly<Record<HealthState, string>> = {
  ready: 'Health: ready',
  degraded: 'Health: degraded, some guests cannot be served',
  not_ready: 'Health: not ready, no guest can be served',
}

function keyOf(part: string, { code }: Pick<PartProblem, 'code'>): string {
  return `${part} ${code}`
}

/** The health of one daemon. Every reader gets the same object, made when it is wanted. */
export class HealthWatch {
  readonly #options: HealthWatchOptions
  readonly #since = new Map<string, string>()
  #cancel: Cancel | undefined
  /** What was seen last, and what was logged last. */
  #lastSeen = ''
  #logged = ''

  constructor(options: HealthWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#cancel = this.#options.clock.schedule(interval, () => {
      this.#log(this.report())
      this.start()
    })
  }

  close(): void {
    this.#cancel?.()
  }

  report(): HealthReport {
    const { parts, served, clock } = this.#options
    const now = new Date(clock.wallTime()).toISOString()
    const present = parts()
    const keys = new Set(
      present.flatMap(({ name, problems }) => problems.map((problem) => keyOf(name, problem))),
    )
    for (const key of this.#since.keys()) if (!keys.has(key)) this.#since.delete(key)
    for (const key of keys) if (!this.#since.has(key)) this.#since.set(key, now)
    return healthReport(
      present,
      served(),
      (part, problem) => this.#since.get(keyOf(part, problem)) ?? now,
    )
  }

  /** One line for each change that lasts; a start that goes well is none, nor a worker that is replaced. */
  #log({ state, problems }: HealthReport): void {
    const isStarting = problems.some(({ code }) => code === 'starting')
    const codes = problems
      .map((problem) => `${problem.state} ${keyOf(problem.part, problem)}`)
      .join()
    const isLasting = this.#lastSeen === codes
    this.#lastSeen = codes
    if (isStarting || !isLasting || this.#logged === codes) return
    this.#logged = codes
    const { logger } = this.#options
    const fields = {
      state,
      ...(problems.length > 0 && {
        problems: problems.map(({ code, howMany, of, what }) => ({ code, howMany, of, what })),
        whatToDo: problems[0]?.remedy,
      }),
    }
    logger[state === 'ready' ? 'info' : 'warn'](fields, stateText[state])
  }
}
