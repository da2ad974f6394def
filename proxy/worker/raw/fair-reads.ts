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
  readonly #waiting = new Map<string, Readable[]>()
  /** What came while others are read: whoever got the bytes before may need a tick to take them in. */
  #addedMeanwhile: Readable[] | undefined

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  add(readable: Readable): void {
    if (this.#addedMeanwhile !== undefined) {
      this.#addedMeanwhile.push(readable)
      return
    }
    const others = this.#waiting.get(readable.source)
    if (others === undefined) this.#waiting.set(readable.source, [readable])
    else others.push(readable)
  }

  /** Reads what one turn allows. */
  run(): void {
    const added: Readable[] = []
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
      const first = waiting.shift()
      if (waiting.length > 0) this.#waiting.set(source, waiting)
      first?.readNow()
      left -= 1
      if (left === 0) return
    }
  }
}
