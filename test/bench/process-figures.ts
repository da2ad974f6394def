import { readdirSync, readFileSync } from 'node:fs'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'

/** Kernel ticks a second; the same on every Linux that Node runs on (`getconf CLK_TCK`). */
const ticksPerSecond = 100

/**
 * CPU time of a process, user and system together, all its threads. In nanoseconds where the scheduler's statistics give
 * them per thread, since ticks of 10 ms are coarse for short runs; threads that have ended are only in the ticks.
 * @see https://docs.kernel.org/scheduler/sched-stats.html
 */
export function cpuTimeOf(pid: number): Milliseconds {
  return Math.max(runTimeOfThreads(pid), ticksOf(pid))
}

function ticksOf(pid: number): Milliseconds {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The command may contain spaces and brackets; fields are counted from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return (ticks * 1000) / ticksPerSecond
}

function runTimeOfThreads(pid: number): Milliseconds {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const [nanoseconds = '0'] = readFileSync(
        `/proc/${pid}/task/${thread}/schedstat`,
        'utf8',
      ).split(' ')
      sum += Number(nanoseconds) / 1e6
    } catch {
      // The thread has ended since, or the kernel was built without these statistics.
    }
  }
  return sum
}

/** Proportional set size in MiB: shared pages count by their share, so that figures of several processes add up. */
export function pssOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const match = /^Pss:\s+(\d+) kB/m.exec(rollup)
  return Number(match?.[1] ?? 0) / 1024
}

/** The process and everything it started, by `/proc/PID/task/TID/children`. @throws NodeJS.ErrnoException when it has ended */
export function processTree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(descendants)]
}

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((text) => text !== '')
    .map(Number)
}

function descendants(pid: number): readonly number[] {
  try {
    return processTree(pid)
  } catch {
    // It has ended since.
    return []
  }
}

/** Process ids by what they are: `agent`, `worker`, `haproxy`. */
export type NamedPids = ReadonlyMap<string, readonly number[]>

/** PSS of all of them, MiB. */
export function pssOfAll(pids: NamedPids): number {
  return [...pids.values()].flat().reduce((sum, pid) => sum + pssOf(pid), 0)
}

/** What is spent in a stretch of time by named processes. One that ends meanwhile is left out. */
export class CpuMeter {
  readonly #begun: ReadonlyMap<string, ReadonlyMap<number, Milliseconds>>

  constructor(pids: NamedPids) {
    this.#begun = new Map(
      [...pids].map(([name, ofName]) => [name, new Map(ofName.flatMap((pid) => timeAtFirst(pid)))]),
    )
  }

  /** Milliseconds of CPU by name since the meter was made. */
  spent(): Map<string, Milliseconds> {
    return new Map([...this.#begun].map(([name, begun]) => [name, spentSince(begun)]))
  }
}

function timeAtFirst(pid: number): readonly (readonly [number, Milliseconds])[] {
  try {
    return [[pid, cpuTimeOf(pid)]]
  } catch {
    // It has ended since it was listed.
    return []
  }
}

function spentSince(begun: ReadonlyMap<number, Milliseconds>): Milliseconds {
  let sum = 0
  for (const [pid, before] of begun) {
    try {
      sum += cpuTimeOf(pid) - before
    } catch {
      // It has ended.
    }
  }
  return sum
}

/** How often all threads of a process gave up a processor, or had to, since its start. @returns 0 when it has ended */
export function contextSwitchesOf(pid: number): Count {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'))
      .flatMap((text) => [...text.matchAll(/ctxt_switches:\s+(\d+)/g)])
      .reduce((sum, [, count]) => sum + Number(count), 0)
  } catch {
    return 0
  }
}
