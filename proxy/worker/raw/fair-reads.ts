/** In which order is read what came from many guests at the same moment? By turns of their addresses, however much one of them sends. */
import type { Count } from '../../../lib/runtime/clock.ts'

/** What can be read when its turn comes. */
export interface Readable {
  /** The guest it comes from. */
  readonly source: string
  readNow(): void
}

/** In one turn of the event loop: about a millisecond of work, after which answers and timers have theirs. */
const mostOfTurn: Count = 16

/** Sources wait in a ring; of each one the first is read, then the source goes to the end. */
export class FairReads {
  readonly #waiting = new Map<string, Set<Readable>>()
  /** What came while others are read: whoever got the bytes before may need a tick to take them in. */
  #addedMeanwhile: Set<Readable> | undefined

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  add(readable: Readable): void {
    if (this.#addedMeanwhile !== undefined) {
      this.#addedMeanwhile.add(readable)
      return
    }
    const others = this.#waiting.get(readable.source)
    if (others === undefined) this.#waiting.set(readable.source, new Set([readable]))
    else others.add(readable)
  }

  /** It is gone: whoever connects faster than is read must not make us keep what has ended. */
  remove(readable: Readable): void {
    this.#addedMeanwhile?.delete(readable)
    const waiting = this.#waiting.get(readable.source)
    if (waiting?.delete(readable) === true && waiting.size === 0) {
      this.#waiting.delete(readable.source)
    }
  }

  /** Reads what one turn allows. */
  run(): void {
    const added = new Set<Readable>()
    this.#addedMeanwhile = added
    try {
      this.#readTurn()
    } finally {
      this.#addedMeanwhile = undefined
      for (const readable of added) this.add(readable)
    }
  }

  #readTurn(): void {
    let left = mostOfTurn
    for (const [source, waiting] of this.#waiting) {
      this.#waiting.delete(source)
      const [first] = waiting
      if (first !== undefined) waiting.delete(first)
      if (waiting.size > 0) this.#waiting.set(source, waiting)
      first?.readNow()
      left -= 1
      if (left === 0) return
    }
  }
}
