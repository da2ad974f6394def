/** What must be closed, but had better not be closed at once? Sockets by which the kernel was given rules. */
import type { Count } from '../../lib/runtime/clock.ts'

/**
 * Keeps things open for a moment. The kernel frees replaced rules in the background, and closing the netlink socket that replaced
 * them waits for that: 13 ms after each load. For one that has aged there is nothing to wait for.
 */
export class DeferredClose<Item> {
  readonly #most: Count
  readonly #close: (item: Item) => void
  readonly #items: Item[] = []

  /** @param most how many are open at a time; one more closes the older half */
  constructor(most: Count, close: (item: Item) => void) {
    this.#most = most
    this.#close = close
  }

  /** Makes room, so that the next one can be opened. */
  makeRoom(): void {
    if (this.#items.length >= this.#most) this.#closeOldest(Math.ceil(this.#most / 2))
  }

  /** Call {@link makeRoom} before. */
  add(item: Item): void {
    this.#items.push(item)
  }

  closeAll(): void {
    this.#closeOldest(this.#items.length)
  }

  #closeOldest(count: Count): void {
    for (const item of this.#items.splice(0, count)) this.#close(item)
  }
}
