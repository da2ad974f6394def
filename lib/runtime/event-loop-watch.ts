/** How late does the event loop run what is due? */
import type { Cancel, Clock, Milliseconds } from './clock.ts'

/** More often would keep an idle processor awake. */
const interval: Milliseconds = 1_000

/** Measures once a second, and reports each measurement. */
export class EventLoopWatch {
  readonly #clock: Clock
  readonly #measured: (lag: Milliseconds) => void
  #cancel: Cancel | undefined

  constructor(clock: Clock, measured: (lag: Milliseconds) => void) {
    this.#clock = clock
    this.#measured = measured
  }

  start(): void {
    const due = this.#clock.now() + interval
    this.#cancel = this.#clock.schedule(interval, () => {
      this.#measured(Math.max(0, this.#clock.now() - due))
      this.start()
    })
  }

  close(): void {
    this.#cancel?.()
  }
}
