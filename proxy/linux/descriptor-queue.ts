import type { Count } from '../../lib/runtime/clock.ts'

/** One message of the descriptor channel: how many were sent, and those that could be received. */
export interface DescriptorBatch {
  readonly count: Count
  readonly fds: readonly number[]
}

/**
 * Hands out descriptors one by one in the order they were sent, and keeps that order when some could not be received: a
 * socket under another listener's name would be the wrong tenant's.
 */
export class DescriptorQueue {
  readonly #receive: () => DescriptorBatch
  readonly #queued: (number | undefined)[] = []

  /** @param receive throws when nothing is there */
  constructor(receive: () => DescriptorBatch) {
    this.#receive = receive
  }

  /** @returns `undefined` for a descriptor that was sent and did not arrive, and when none was sent */
  next(): number | undefined {
    if (this.#queued.length === 0) this.#fill()
    return this.#queued.shift()
  }

  #fill(): void {
    let batch: DescriptorBatch
    try {
      batch = this.#receive()
    } catch {
      return
    }
    for (let index = 0; index < batch.count; index += 1) this.#queued.push(batch.fds[index])
  }
}
