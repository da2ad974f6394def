/** Does a worker still answer? */
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'

export interface HeartbeatOptions {
  readonly clock: Clock
  readonly ping: (id: number) => void
  /** It has not answered for too long. Called once. */
  readonly onSilent: () => void
}

const interval: Milliseconds = 1_000
const mostMissed: Count = 5

/**
 * Sends one ping a second. Silence is counted in pings and not in seconds: when this process itself was stopped, or the machine, no
 * ping went unanswered meanwhile.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #lastId = 0
  #missed: Count = 0
  #cancel: Cancel | undefined

  constructor(options: HeartbeatOptions) {
    this.#options = options
  }

  start(): void {
    this.#cancel = this.#options.clock.schedule(interval, () => this.#beat())
  }

  /** Only the answer to the latest ping counts. */
  answered(id: number): void {
    if (id === this.#lastId) this.#missed = 0
  }

  stop(): void {
    this.#cancel?.()
  }

  #beat(): void {
    if (this.#missed >= mostMissed) {
      this.#options.onSilent()
      return
    }
    this.#missed += 1
    this.#lastId += 1
    this.#options.ping(this.#lastId)
    this.start()
  }
}
