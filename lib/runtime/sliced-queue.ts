import type { Clock, Milliseconds } from './clock.ts'

export interface SlicedQueueOptions<Item> {
  readonly clock: Clock
  /** Makes system calls or computes. It does not wait. */
  readonly visit: (item: Item) => void
  /** Before the items of one slice. */
  readonly begin?: () => void
  /** After the items of one slice: what came of them goes out together. */
  readonly end?: () => void
}

/** One turn of the loop goes on for about so long before others get theirs. */
const slice: Milliseconds = 10

/** Visits items one after the other, such as a thousand namespaces, without holding the process up. Each waits at most once. */
export class SlicedQueue<Item> {
  readonly #options: SlicedQueueOptions<Item>
  readonly #due = new Set<Item>()
  #isWorking = false
  #waiters: (() => void)[] = []

  constructor(options: SlicedQueueOptions<Item>) {
    this.#options = options
  }

  /** Items that wait for their visit. */
  get due(): ReadonlySet<Item> {
    return this.#due
  }

  add(item: Item): void {
    this.#due.add(item)
    if (this.#isWorking) return
    this.#isWorking = true
    setImmediate(() => this.#work())
  }

  clear(): void {
    this.#due.clear()
  }

  /** Resolves once nothing waits any more. */
  async idle(): Promise<void> {
    if (this.#isWorking) await new Promise<void>((resolve) => this.#waiters.push(resolve))
  }

  #work(): void {
    const { clock, visit, begin, end } = this.#options
    begin?.()
    const until = clock.now() + slice
    for (const item of this.#due) {
      this.#due.delete(item)
      visit(item)
      if (clock.now() >= until) break
    }
    end?.()
    if (this.#due.size > 0) {
      setImmediate(() => this.#work())
      return
    }
    this.#isWorking = false
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
