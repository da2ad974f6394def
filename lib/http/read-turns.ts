import type { Bytes, Count } from '../runtime/clock.ts'

/** What a connection may give before the others have their turn. */
const mostAtOnce: Bytes = 64 * 1024
/** Long answers that go on in one turn of the event loop: some milliseconds of work for as many as there may be. */
const mostOfTurn: Count = 8

/** What gives bytes until it is paused. */
interface PausedSource {
  pause(): unknown
  resume(): unknown
}

/** One connection, or answer, that long answers come on. */
export interface ReadTurn {
  /** So many bytes of an answer came, and more will. */
  took(bytes: Bytes): void
}

/**
 * Which long answers are read now? The event loop would take up to 32 pieces of 64 KiB from each connection before it looks at the next one,
 * so that a few dozen long answers make all other connections wait for a second. Short answers are not counted.
 */
export class ReadTurns {
  readonly #waiting = new Set<() => void>()

  /** @param isPaused for another reason, for which it is not read when its turn comes */
  of(source: PausedSource, isPaused: () => boolean): ReadTurn {
    let sum: Bytes = 0
    const resume = (): void => {
      sum = 0
      if (!isPaused()) source.resume()
    }
    return {
      took: (bytes) => {
        sum += bytes
        if (sum < mostAtOnce) return
        source.pause()
        this.#wait(resume)
      },
    }
  }

  #wait(resume: () => void): void {
    if (this.#waiting.size === 0) setImmediate(this.#next)
    this.#waiting.add(resume)
  }

  readonly #next = (): void => {
    let count: Count = 0
    for (const resume of this.#waiting) {
      this.#waiting.delete(resume)
      resume()
      count += 1
      if (count === mostOfTurn) break
    }
    if (this.#waiting.size > 0) setImmediate(this.#next)
  }
}
