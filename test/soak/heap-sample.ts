/** How much memory of a Node process is in use after everything that can be collected is? */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What is watched, and its unit. */
export interface HeapSample {
  readonly 'heap KiB': number
  /** Buffers and what else belongs to objects outside of the heap. */
  readonly 'external KiB': number
  /** Resident without the pages of the heap, of which V8 keeps up to 30 MiB more or less as it likes. */
  readonly 'native KiB': number
}

const reporter = fileURLToPath(new URL('heap-reporter.mjs', import.meta.url))
const patience = 5_000
const lookEvery = 20

/** The heaps of programs that were started with its environment. */
export class HeapSampler {
  readonly #file: string

  /** @param folder that the programs' accounts may enter */
  constructor(folder: string) {
    this.#file = join(folder, 'heaps')
    writeFileSync(this.#file, '')
  }

  /** Words for env(1). */
  get environment(): readonly string[] {
    return [
      `NODE_OPTIONS=--import=${reporter}`,
      `OVERLAPD_TEST_HEAP=${this.#file}`,
      // Each thread would keep the most that it ever needed.
      'MALLOC_ARENA_MAX=1',
    ]
  }

  /** @returns `undefined` for a process that has ended or does not answer in time */
  async sample(pid: number): Promise<HeapSample | undefined> {
    writeFileSync(this.#file, '')
    try {
      process.kill(pid, 'SIGWINCH')
    } catch {
      return undefined
    }
    for (const until = performance.now() + patience; performance.now() < until;) {
      const [line, rest] = readFileSync(this.#file, 'utf8').split('\n')
      if (line !== undefined && rest !== undefined) {
        const [of, heap = 0, external = 0, native = 0] = JSON.parse(line) as number[]
        if (of === pid) {
          return {
            'heap KiB': heap / 1_024,
            'external KiB': external / 1_024,
            'native KiB': native / 1_024,
          }
        }
      }
      await pause(lookEvery)
    }
    return undefined
  }
}
