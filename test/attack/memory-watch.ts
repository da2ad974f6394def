import { readFileSync } from 'node:fs'

/** Between two looks, in milliseconds. */
const interval = 200

/** Resident memory of a process of ours in MiB, whatever is done to it: a heap of 256 MiB, and the program itself. */
export const mostMemory = 384

/** Resident memory of a process in MiB; 0 once it has ended. */
export function residentMemory(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Math.round(Number(kilobytes ?? 0) / 1024)
  } catch {
    return 0
  }
}

/** Looks at the memory of some processes from now on; of several, the largest counts. */
export class MemoryWatch {
  readonly #pids: readonly number[]
  readonly #timer: NodeJS.Timeout
  readonly start: number
  max: number

  constructor(pids: readonly number[]) {
    this.#pids = pids
    this.start = this.#now()
    this.max = this.start
    this.#timer = setInterval(() => (this.max = Math.max(this.max, this.#now())), interval)
  }

  /** @returns what there is at the end */
  stop(): number {
    clearInterval(this.#timer)
    return this.#now()
  }

  #now(): number {
    return Math.max(...this.#pids.map(residentMemory))
  }
}
