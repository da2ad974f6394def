import type { MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'

/** How far a part of the copy can be trusted. */
export interface Cover {
  /** When the query left that the part comes from. */
  readonly fetchedAt: MonotonicMilliseconds
  /** Grows with each query that leaves, for those of one moment. */
  readonly order: number
  /** During which unbroken subscription to changes that was. */
  readonly era: number
}
