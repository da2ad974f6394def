import type { Cancel, Clock, EpochMilliseconds, Milliseconds } from '../../lib/runtime/clock.ts'

interface Timer {
  readonly at: Milliseconds
  readonly run: () => void
}

/**
 * A clock that stands still until a test moves it. Timers fire in the order of their time, then of their making;
 * between two of them pending promise callbacks get their turn, so that a loop which sleeps again is seen sleeping.
 */
export class FakeClock implements Clock {
  #now: Milliseconds
  #wall: EpochMilliseconds
  readonly #timers = new Set<Timer>()

  constructor(now: Milliseconds = 1_000, wall: EpochMilliseconds = Date.UTC(2026, 0, 1)) {
    this.#now = now
    this.#wall = wall
  }

  now(): Milliseconds {
    return this.#now
  }

  wallTime(): EpochMilliseconds {
    return this.#wall
  }

  /** How many sleeps and scheduled callbacks wait. */
  get waiting(): number {
    return this.#timers.size
  }

  /** The spans until each of the waiting timers, shortest first. */
  get pending(): readonly Milliseconds[] {
    return [...this.#timers].map((timer) => timer.at - this.#now).toSorted((a, b) => a - b)
  }

  schedule(span: Milliseconds, callback: () => void): Cancel {
    const timer: Timer = { at: this.#now + Math.max(0, span), run: callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  sleep(span: Milliseconds, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error)
        return
      }
      const aborted = (): void => {
        cancel()
        reject(signal?.reason as Error)
      }
      const cancel = this.schedule(span, () => {
        signal?.removeEventListener('abort', aborted)
        resolve()
      })
      signal?.addEventListener('abort', aborted, { once: true })
    })
  }

  /** Lets this much time pass, firing everything that falls due on the way. */
  async advance(span: Milliseconds): Promise<void> {
    const end = this.#now + span
    await settled()
    for (;;) {
      const [next] = [...this.#timers]
        .filter((timer) => timer.at <= end)
        .toSorted((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#pass(Math.max(this.#now, next.at))
      this.#timers.delete(next)
      next.run()
      await settled()
    }
    this.#pass(end)
    await settled()
  }

  /** Lets time pass at once, without firing timers or giving anybody a turn. */
  pass(span: Milliseconds): void {
    this.#pass(this.#now + span)
  }

  /** Moves the wall clock alone, as an administrator or NTP does. */
  jumpWallTime(span: Milliseconds): void {
    this.#wall += span
  }

  /** Waits until at least `count` timers wait, for code that first does real I/O. */
  async untilWaiting(count: number): Promise<void> {
    while (this.#timers.size < count) await settled()
  }

  #pass(to: Milliseconds): void {
    this.#wall += to - this.#now
    this.#now = to
  }
}

/** Gives pending promise callbacks and ready I/O a turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
