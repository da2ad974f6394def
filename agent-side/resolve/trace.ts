import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'

/** One thing that was done for a request: `{ step: 'ports', detail: {…}, ms: 1.2 }`. */
export interface TraceStep {
  readonly step: string
  /** For the operator; never a secret or a signature. */
  readonly detail: Readonly<Record<string, unknown>>
  /** Since the trace began. */
  readonly ms: Milliseconds
}

/**
 * Records what the one code path does while it does it, for `explain`. Callers write `trace?.note(…)`, so that a
 * request without a recorder makes none of the objects.
 */
export class Trace {
  readonly #clock: Clock
  readonly #began: MonotonicMilliseconds
  readonly #steps: TraceStep[] = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#began = clock.now()
  }

  note(step: string, detail: Readonly<Record<string, unknown>>): void {
    const ms = Math.round((this.#clock.now() - this.#began) * 1000) / 1000
    this.#steps.push({ step, detail, ms })
  }

  get steps(): readonly TraceStep[] {
    return this.#steps
  }
}
