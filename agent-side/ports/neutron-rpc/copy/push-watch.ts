import type { Clock, Count, Milliseconds } from '../../../../lib/runtime/clock.ts'
import type { PortId } from '../../../../lib/identity/ids.ts'

/** Limits of {@link PushWatch}, and to whom it reports. */
export interface PushWatchOptions {
  readonly clock: Clock
  /** How long a push may take after its change was found by a query. */
  readonly patience: Milliseconds
  /** Changes that are watched at a time. */
  readonly most: Count
  readonly lost: (portId: PortId) => void
}

/**
 * Finds out whether changes are really reported: one that a query found first must be pushed soon after. A server whose
 * pushing thread has died otherwise looks like a quiet one.
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
