import type { Clock, Count } from '../runtime/clock.ts'
import type { LogFields, Logger } from '../runtime/log.ts'
import { reasonRow, type ReasonCode } from '../runtime/reason-codes.ts'
import { LogWindow } from './log-window.ts'

const linesPerCode: Count = 20

/**
 * Writes one line per refusal, at the level of its code, and at most twenty of a code in ten seconds: a guest that
 * sends garbage without pause must not fill the operator's disk. The counters have them all.
 */
export class RefusalLog {
  readonly #logger: Logger
  readonly #window: LogWindow<ReasonCode>

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#window = new LogWindow({
      clock,
      most: linesPerCode,
      onSuppressed: (code, left) =>
        logger[reasonRow(code).logLevel]({ reason: code, ...left }, 'More requests refused'),
    })
  }

  /** @param describe makes the fields, called only when the line is written */
  write(code: ReasonCode, describe: () => LogFields): void {
    const { logLevel } = reasonRow(code)
    if (!this.#logger.isLevelEnabled(logLevel) || !this.#window.admit(code)) return
    this.#logger[logLevel]({ reason: code, ...describe() }, 'Request refused')
  }
}
