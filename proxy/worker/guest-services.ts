import type { Bytes, Clock } from '../../lib/clock.ts'
import type { Forwarder } from './forwarder.ts'
import type { WorkerMetrics } from './metrics.ts'
import type { WorkerConfig } from './protocol.ts'
import type { RefusalLog } from '../../lib/refusal-log.ts'
import type { RequestIds } from './request-ids.ts'

/** What every connection and request of a worker shares. */
export interface GuestServices {
  readonly forwarder: Forwarder
  readonly limits: WorkerConfig['limits']
  readonly metrics: WorkerMetrics
  readonly log: RefusalLog
  readonly requestIds: RequestIds
  /** For request bodies. */
  readonly bodies: BodyBudget
  /** For answers that guests do not read. */
  readonly answers: BodyBudget
  readonly clock: Clock
}

/** All request bodies of a worker that are held at one time, and as much again of answers. */
const heldBodyBytes: Bytes = 32 * 1024 * 1024

/** Bounds the memory of bodies, whatever the number of guests that send them. */
export class BodyBudget {
  #left: Bytes = heldBodyBytes

  /** @returns false when there is no room */
  take(bytes: Bytes): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  release(bytes: Bytes): void {
    this.#left += bytes
  }
}
