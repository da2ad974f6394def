import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'
import { TwoGenerationMap } from './two-generation-map.ts'

export interface BootDetectorOptions {
  readonly clock: Clock
  /** How many requests belong to a boot at most. cloud-init makes 28, one for each further key and block device. */
  readonly requests: Count
  /** How long a boot takes at most. */
  readonly period: Milliseconds
  /** After so much silence an instance counts as new: it may have been off. */
  readonly silence: Milliseconds
  /** How many instances are remembered. */
  readonly max: Count
}

interface Seen {
  firstAt: MonotonicMilliseconds
  lastAt: MonotonicMilliseconds
  requests: Count
}

/**
 * Distinguishes requests of a boot from those of an instance that has been up for a while: the first so many within so much
 * time after the instance was first seen, or seen again after a long silence. The target plays no part,
 * since every guest can send what booting guests send.
 *
 * Right after a start every instance is new; for one `period` the distinction then means little.
 */
export class BootDetector {
  readonly #options: BootDetectorOptions
  readonly #seen: TwoGenerationMap<string, Seen>

  constructor(options: BootDetectorOptions) {
    this.#options = options
    this.#seen = new TwoGenerationMap(options.max)
  }

  /** Counts a request of an instance. @returns true when it belongs to a boot */
  noteRequest(instanceId: string): boolean {
    const { clock, requests, period, silence } = this.#options
    const now = clock.now()
    const seen = this.#seen.get(instanceId)
    if (seen === undefined) {
      this.#seen.set(instanceId, { firstAt: now, lastAt: now, requests: 1 })
      return requests > 0
    }
    if (now - seen.lastAt >= silence) {
      seen.firstAt = now
      seen.requests = 0
    }
    seen.lastAt = now
    seen.requests += 1
    return seen.requests <= requests && now - seen.firstAt < period
  }
}
