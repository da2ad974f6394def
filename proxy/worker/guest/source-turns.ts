/** Which of a guest's requests begin now? However many it sends at once, they come one after the other to what serves all guests. */
import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'

/** A request that waits until its source may have one more under way. */
export interface Turn {
  turnCame(): void
}

/** What holds for every source. */
export interface TurnRules {
  readonly clock: Clock
  /** Requests of one source that are under way at once, at most. */
  readonly limit: Count
}

/** Requests of a source that may always be under way: while one is answered, the next can be on its way. */
const always: Count = 2
/**
 * Beyond these, one more begins this long after the last began. An answer of compute takes a few milliseconds, so a burst goes through two by
 * two, and the requests of others meet two of it in each line instead of sixteen. Where compute takes seconds, the whole limit is in use soon.
 */
const pace: Milliseconds = 10

/** Lets so many requests of one source be under way at once. First come, first served. */
export class SourceTurns {
  readonly #rules: TurnRules
  #serving: Count = 0
  /** When the last began that was one of several. */
  #startedAt: MonotonicMilliseconds = 0
  /** Made when a request first has to wait; `undefined` again when none does. */
  #waiting: Set<Turn> | undefined
  #timer: Cancel | undefined

  constructor(rules: TurnRules) {
    this.#rules = rules
  }

  /** @returns false when the turn comes later */
  enter(turn: Turn): boolean {
    if (this.#waiting === undefined && this.#mayStart()) {
      this.#start()
      return true
    }
    this.#waiting ??= new Set()
    this.#waiting.add(turn)
    this.#startWaiting(this.#waiting)
    return false
  }

  /** Gives back the turn, or the wish for one. To be called once for each {@link SourceTurns.enter}. */
  leave(turn: Turn): void {
    const waiting = this.#waiting
    if (waiting?.delete(turn) !== true) this.#serving -= 1
    if (waiting !== undefined) this.#startWaiting(waiting)
  }

  #mayStart(): boolean {
    const { clock, limit } = this.#rules
    if (this.#serving < Math.min(always, limit)) return true
    return this.#serving < limit && clock.now() - this.#startedAt >= pace
  }

  #start(): void {
    this.#serving += 1
    if (this.#serving >= always) this.#startedAt = this.#rules.clock.now()
  }

  #startWaiting(waiting: Set<Turn>): void {
    for (const next of waiting) {
      if (!this.#mayStart()) break
      waiting.delete(next)
      this.#start()
      // Not from within the end of another request, which may be one of many that fail at once.
      process.nextTick(() => next.turnCame())
    }
    if (waiting.size === 0) this.#waiting = undefined
    this.#watchTime(waiting)
  }

  #watchTime(waiting: Set<Turn>): void {
    const { clock, limit } = this.#rules
    // At the limit, it is the end of a request that lets the next one begin.
    if (waiting.size === 0 || this.#serving >= limit) {
      this.#timer?.()
      this.#timer = undefined
      return
    }
    this.#timer ??= clock.schedule(this.#startedAt + pace - clock.now(), () => {
      this.#timer = undefined
      this.#startWaiting(waiting)
    })
  }
}
