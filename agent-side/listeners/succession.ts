/** How does one agent follow another on a host without a guest noticing? */
import { setTimeout as delay } from 'node:timers/promises'
import type { Milliseconds } from '../../lib/runtime/clock.ts'
import { isAnswered } from '../../lib/sockets/private-socket.ts'
import type { Part } from '../../lib/runtime/lifecycle.ts'
import type { Logger } from '../../lib/runtime/log.ts'

/** What stops together with others. */
export interface StoppingListener {
  /** Serves on, new requests as well, until what is under way now is answered or has had its time. */
  settle(): Promise<void>
  /** Stops accepting. */
  close(): Promise<void>
}

/**
 * Stops all listeners at once; started last, so that it is the first to be closed. A service manager starts the next agent only after the
 * end of this one, and one slow answer may take longer than workers wait for an agent. So an agent that stops serves all workers until its
 * slow answers are out, and only then stops accepting.
 */
export class JointStop implements Part {
  readonly name = 'stop of all listeners'
  readonly #listeners: readonly StoppingListener[]

  constructor(listeners: readonly StoppingListener[]) {
    this.#listeners = listeners
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  async close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.settle()))
    await Promise.all(this.#listeners.map((listener) => listener.close()))
  }
}

const pause: Milliseconds = 20

/** Waits while another agent answers at the admin socket, which is the last that an agent that stops closes; not for ever. */
export async function untilPredecessorEnds(
  adminSocket: string,
  limit: Milliseconds,
  logger: Logger,
): Promise<void> {
  const deadline = performance.now() + limit
  for (let tries = 0; await isAnswered(adminSocket); tries += 1) {
    if (performance.now() >= deadline) return
    if (tries === 0) {
      logger.warn({ socket: adminSocket, limit }, 'Another agent answers here: waiting for its end')
    }
    await delay(pause)
  }
}
