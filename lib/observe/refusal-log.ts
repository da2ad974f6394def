import type { Clock, Count, Milliseconds } from '../runtime/clock.ts'
import type { LogFields, Logger } from '../runtime/log.ts'
import { reasonRow, type ReasonCode } from '../runtime/reason-codes.ts'

const window: Milliseconds = 10_000
const linesPerWindow: Count = 20

interface CodeWindow {
  lines: Count
  suppressed: Count
}

/**
 * Writes one line per refusal, at the level of its code, and at most twenty of a code in ten seconds: a guest that
 * sends garbage without pause must not fill the operator's disk. The counters have them all.
 */
export class RefusalLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #windows = new Map<ReasonCode, CodeWindow>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  /** @param describe makes the fields, called only when the line is written */
  write(code: ReasonCode, describe: () => LogFields): void {
    const { logLevel } = reasonRow(code)
    if (!this.#logger.isLevelEnabled(logLevel)) return
    const current = this.#windowOf(code)
    if (current.lines >= linesPerWindow) {
      current.suppressed += 1
      return
    }
    current.lines += 1
    this.#logger[logLevel]({ reason: code, ...describe() }, 'Request refused')
  }

  #windowOf(code: ReasonCode): CodeWindow {
    const known = this.#windows.get(code)
    if (known !== undefined) return known
    const made: CodeWindow = { lines: 0, suppressed: 0 }
    this.#windows.set(code, made)
    this.#clock.schedule(window, () => this.#end(code, made))
    return made
  }

  /** What was left out is reported when the window ends, whether or not more comes. */
  #end(code: ReasonCode, { suppressed }: CodeWindow): void {
    this.#windows.delete(code)
    if (suppressed === 0) return
    const { logLevel } = reasonRow(code)
    const seconds = window / 1_000
    this.#logger[logLevel]({ reason: code, suppressed, seconds }, 'More requests refused')
  }
}
