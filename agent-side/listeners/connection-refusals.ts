import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'

/**
 * Why a connection of a proxy was ended: TLS did not come about, the certificate does not count, its name is not on the list, it has
 * several names of the list, there are too many, it sent to the lease socket what is no message, it is not of the account of a supervisor, or
 * it reported served scopes in what is no message.
 */
export type ConnectionRefusal =
  | 'handshake'
  | 'certificate'
  | 'unknown_name'
  | 'several_names'
  | 'too_many'
  | 'lease_message'
  | 'scopes_account'
  | 'scopes_message'

export interface ConnectionRefusalsOptions {
  readonly clock: Clock
  readonly logger: Logger
  readonly observer: { refusedConnection(why: ConnectionRefusal): void } | undefined
}

/** Strangers can cause them without end, so of each sort one line is enough in this time. */
const window: Milliseconds = 10_000

/** Counts refused connections, and logs some of them. */
export class ConnectionRefusals {
  readonly #options: ConnectionRefusalsOptions
  readonly #logged = new Map<ConnectionRefusal, { suppressed: Count }>()

  constructor(options: ConnectionRefusalsOptions) {
    this.#options = options
  }

  note(why: ConnectionRefusal, remoteAddress: string, cause: string): void {
    const { clock, logger, observer } = this.#options
    observer?.refusedConnection(why)
    const last = this.#logged.get(why)
    if (last !== undefined) {
      last.suppressed += 1
      return
    }
    this.#logged.set(why, { suppressed: 0 })
    clock.schedule(window, () => this.#sumUp(why))
    logger.warn({ why, remoteAddress, cause }, 'Connection of a proxy refused')
  }

  #sumUp(why: ConnectionRefusal): void {
    const { suppressed } = this.#logged.get(why) ?? { suppressed: 0 }
    this.#logged.delete(why)
    if (suppressed === 0) return
    const seconds = window / 1_000
    this.#options.logger.warn({ why, suppressed, seconds }, 'More connections of proxies refused')
  }
}
