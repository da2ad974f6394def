import type { Clock, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import type { PortId } from '../../../../lib/identity/ids.ts'

/** Limits of {@link PushWatch}, and whom it tells. */
export interface PushWatchOptions {
  readonly clock: Clock
  /** How long a push may take after its change was found by asking. */
  readonly patience: Milliseconds
  /** Changes that are watched at a time. */
  readonly most: Count
  readonly lost: (portId: PortId) => void
}

/**
 * Finds out whether changes are really told: one that was first seen by asking must be pushed soon after. A server whose
 * pushing thread has died is otherwise not to be told from a quiet one.
 */
export class PushWatch {
  readonly #options: PushWatchOptions
  readonly #expected = new Map<PortId, () => void>()

  constructor(options: PushWatchOptions) {
    this.#options = options
  }

  expect(portId: PortId): void {
    const { clock, patience, most, lost } = this.#options
    if (this.#expected.has(portId) || this.#expected.size >= most) return
    const cancel = clock.schedule(patience, () => {
      this.#expected.delete(portId)
      lost(portId)
    })
    this.#expected.set(portId, cancel)
  }

  saw(portId: PortId): void {
    this.#expected.get(portId)?.()
    this.#expected.delete(portId)
  }

  /** Forgets what was expected, as nothing can arrive any more. */
  clear(): void {
    for (const cancel of this.#expected.values()) cancel()
    this.#expected.clear()
  }
}
