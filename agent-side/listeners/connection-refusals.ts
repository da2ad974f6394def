import { LogWindow } from '../../lib/observe/log-window.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
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

/** Counts refused connections. Strangers can cause them without end, so one line of each sort is logged in ten seconds. */
export class ConnectionRefusals {
  readonly #options: ConnectionRefusalsOptions
  readonly #window: LogWindow<ConnectionRefusal>

  constructor(options: ConnectionRefusalsOptions) {
    this.#options = options
    this.#window = new LogWindow({
      clock: options.clock,
      most: 1,
      onSuppressed: (why, left) =>
        options.logger.warn({ why, ...left }, 'More connections of proxies refused'),
    })
  }

  note(why: ConnectionRefusal, remoteAddress: string, cause: string): void {
    const { logger, observer } = this.#options
    observer?.refusedConnection(why)
    if (!this.#window.admit(why)) return
    logger.warn({ why, remoteAddress, cause }, 'Connection of a proxy refused')
  }
}
