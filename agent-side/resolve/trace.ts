import type { ExplainStep } from '../../lib/operator/explanation.ts'
import type { Clock, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'

/**
 * Records what the one code path does while it does it, for `explain`. Callers write `trace?.note(…)`, so that a
 * request without a recorder makes none of the objects.
 */
export class Trace {
  readonly #clock: Clock
  readonly #began: MonotonicMilliseconds
  readonly #steps: ExplainStep[] = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#began = clock.now()
  }

  note(step: string, detail: Readonly<Record<string, unknown>>): void {
    const ms = Math.round((this.#clock.now() - this.#began) * 1000) / 1000
    this.#steps.push({ step, detail, ms })
  }

  get steps(): readonly ExplainStep[] {
    return this.#steps
  }
}
