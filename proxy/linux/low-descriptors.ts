/** How does a library that uses select(2) work in a process with thousands of descriptors? With one of the first 1,024. */
import { closeSync, openSync } from 'node:fs'
import type { Count } from '../../lib/runtime/clock.ts'

/** `FD_SETSIZE`: a number from there on does not fit into an `fd_set`, and glibc ends the process that tries. */
const setSize = 1_024
/** So many are free at a moment: what other threads open in between takes some. */
const spare: Count = 8

/** Keeps low numbers for when they are needed. Make it while the process is young. */
export class LowDescriptors {
  readonly #wanted: Count
  #held: number[] = []

  /** @param count how many may be used at the same time */
  constructor(count: Count) {
    this.#wanted = count + spare
    this.refill()
  }

  /**
   * Runs what opens one of them. The kernel always gives the lowest number that is free.
   * @throws Error when none is left
   */
  use<Value>(open: () => Value): Value {
    if (this.#held.length < spare) this.refill()
    const free = this.#held.splice(-spare)
    if (free.length < spare) {
      this.#held.push(...free)
      throw new Error(`No descriptor below ${setSize} is free`)
    }
    for (const fd of free) closeSync(fd)
    try {
      return open()
    } finally {
      this.refill()
    }
  }

  /** Takes low numbers back, after what used them is closed. */
  refill(): void {
    while (this.#held.length < this.#wanted) {
      const fd = openNothing()
      if (fd === undefined) return
      if (fd >= setSize) {
        closeSync(fd)
        return
      }
      this.#held.push(fd)
    }
  }

  close(): void {
    for (const fd of this.#held) closeSync(fd)
    this.#held = []
  }
}

function openNothing(): number | undefined {
  try {
    return openSync('/dev/null', 'r')
  } catch {
    // This process may not have more just now.
    return undefined
  }
}
