/** What is to be logged when one cause stops a thousand things at once? */
import type { Clock, Count, Milliseconds } from '../runtime/clock.ts'
import type { Logger } from '../runtime/log.ts'

const window: Milliseconds = 10_000
const namedAtMost: Count = 5

interface Held {
  /** Beyond the first, which has a line of its own. */
  readonly others: string[]
}

/** Logs the first of many failures that have one cause, and the number of the others when ten seconds are over. */
export class CauseLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #level: 'warn' | 'error'
  readonly #message: string
  readonly #held = new Map<string, Held>()

  constructor(logger: Logger, clock: Clock, level: 'warn' | 'error', message: string) {
    this.#logger = logger
    this.#clock = clock
    this.#level = level
    this.#message = message
  }

  /** @param netns where it happened */
  note(netns: string, cause: string): void {
    // The same cause, where its text names the place.
    const common = cause.replaceAll(netns, '*')
    const held = this.#held.get(common)
    if (held !== undefined) {
      held.others.push(netns)
      return
    }
    this.#logger[this.#level]({ netns, cause }, this.#message)
    this.#held.set(common, { others: [] })
    this.#clock.schedule(window, () => this.#sumUp(common))
  }

  #sumUp(cause: string): void {
    const { others } = this.#held.get(cause) ?? { others: [] }
    this.#held.delete(cause)
    if (others.length === 0) return
    const fields = { cause, more: others.length, netns: others.slice(0, namedAtMost) }
    this.#logger[this.#level](fields, this.#message)
  }
}
