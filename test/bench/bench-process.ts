import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Teardown } from './teardown.ts'

/**
 * A program of the benchmark in a process of its own, so that its CPU is not ours. It is given its options as JSON, prints
 * a line of JSON when it has started, and another for each line it is sent.
 */
export class BenchProcess<Report> {
  readonly #child: ChildProcess
  readonly #lines: Interface
  readonly #stop: () => Promise<void>
  /** What it said when it had started. */
  readonly started: Report

  private constructor(
    child: ChildProcess,
    lines: Interface,
    stop: () => Promise<void>,
    started: Report,
  ) {
    this.#child = child
    this.#lines = lines
    this.#stop = stop
    this.started = started
  }

  /** @param program file name in this folder of the build */
  static async start<Report>(
    program: string,
    options: object,
    teardown: Teardown,
    nodeOptions: readonly string[] = [],
  ): Promise<BenchProcess<Report>> {
    const path = join(import.meta.dirname, program)
    const child = spawn(process.execPath, [...nodeOptions, path, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const stop = teardown.add(() => {
      child.kill('SIGKILL')
    })
    const lines = createInterface({ input: child.stdout })
    const started = await nextLine<Report>(program, child, lines)
    return new BenchProcess(child, lines, stop, started)
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Asks how it stands. */
  async report(): Promise<Report> {
    const answer = nextLine<Report>('a program of the benchmark', this.#child, this.#lines)
    this.#child.stdin?.write('\n')
    return await answer
  }

  async stop(): Promise<void> {
    await this.#stop()
  }
}

async function nextLine<Report>(
  name: string,
  child: ChildProcess,
  lines: Interface,
): Promise<Report> {
  const abort = new AbortController()
  const { signal } = abort
  try {
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error(`${name} ended`)
    })
    const [line] = (await Promise.race([once(lines, 'line', { signal }), ended])) as [string]
    return JSON.parse(line) as Report
  } finally {
    abort.abort()
  }
}

/** The other end: prints a report now, and again for each line that comes. */
export function reportOnDemand(report: () => object): void {
  const print = (): void => {
    process.stdout.write(`${JSON.stringify(report())}\n`)
  }
  createInterface({ input: process.stdin }).on('line', print)
  print()
}
