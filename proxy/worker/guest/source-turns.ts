import type { Count } from '../../../lib/runtime/clock.ts'

/** A request that waits until its source may have one more under way. */
export interface Turn {
  turnCame(): void
}

/** Lets so many requests of one source be under way at once. First come, first served. */
export class SourceTurns {
  #serving: Count = 0
  /** Made when a request first has to wait. */
  #waiting: Set<Turn> | undefined

  /** @returns false when the turn comes later */
  enter(turn: Turn, limit: Count): boolean {
    if (this.#serving < limit) {
      this.#serving += 1
      return true
    }
    this.#waiting ??= new Set()
    this.#waiting.add(turn)
    return false
  }

  /** Gives back the turn, or the wish for one. To be called once for each {@link SourceTurns.enter}. */
  leave(turn: Turn): void {
    if (this.#waiting?.delete(turn) === true) return
    const [next] = this.#waiting ?? []
    if (next === undefined) {
      this.#serving -= 1
      return
    }
    this.#waiting?.delete(next)
    // Not from within the end of another request, which may be one of many that fail at once.
    process.nextTick(() => next.turnCame())
  }
}
