import type { Count } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'

/** Lets only so many run at the same time; the others wait in order, and only so many of them. */
export class Semaphore {
  readonly #most: Count
  readonly #mostWaiting: Count
  readonly #waiting = new Set<() => void>()
  #taken: Count = 0

  constructor(most: Count, mostWaiting: Count) {
    this.#most = most
    this.#mostWaiting = mostWaiting
  }

  /**
   * @returns the function that gives the slot back; calling it twice is harmless
   * @throws MetadataError `directory_unavailable` when too many wait; the signal's reason when it was aborted
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#taken >= this.#most) await this.#wait(signal)
    else this.#taken += 1
    let held = true
    return () => {
      if (held) this.#give()
      held = false
    }
  }

  #give(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#taken -= 1
      return
    }
    // The slot passes on without becoming free, so no later caller can overtake.
    this.#waiting.delete(next)
    next()
  }

  #wait(signal: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#mostWaiting) {
      const message = `Cannot query Neutron: ${this.#mostWaiting} queries wait already`
      throw new MetadataError('directory_unavailable', message)
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(enter)
        reject(signal.reason)
      }
      const enter = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      this.#waiting.add(enter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }
}
