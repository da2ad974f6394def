import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import type { LogFields, Logger } from '../runtime/log.ts'
import { reasonRow, type ReasonCode } from '../runtime/reason-codes.ts'

const window: Milliseconds = 10_000
const linesPerWindow: Count = 20

interface CodeWindow {
  startedAt: MonotonicMilliseconds
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
    const now = this.#clock.now()
    let current = this.#windows.get(code)
    if (current === undefined) {
      current = { startedAt: now, lines: 0, suppressed: 0 }
      this.#windows.set(code, current)
    }
    if (now - current.startedAt >= window) {
      current.startedAt = now
      current.lines = 0
    }
    if (current.lines >= linesPerWindow) {
      current.suppressed += 1
      return
    }
    current.lines += 1
    const { suppressed } = current
    current.suppressed = 0
    this.#logger[logLevel](
      { reason: code, ...describe(), ...(suppressed > 0 && { suppressed }) },
      'Request refused',
    )
  }
}
