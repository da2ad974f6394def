/** What does a process hold, by what the kernel says of it? */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** What is watched, and its unit. */
export type ProcessSample = Readonly<
  Record<'rss KiB' | 'private KiB' | 'descriptors' | 'sockets' | 'threads', number>
>

/** @returns `undefined` for a process that has ended */
export function sampleProcess(pid: number): ProcessSample | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const descriptors = readdirSync(`/proc/${pid}/fd`)
    return {
      'rss KiB': numberIn(status, /^VmRSS:\s+(\d+)/m),
      'private KiB':
        numberIn(rollup, /^Private_Clean:\s+(\d+)/m) + numberIn(rollup, /^Private_Dirty:\s+(\d+)/m),
      descriptors: descriptors.length,
      sockets: descriptors.filter((fd) => isSocket(pid, fd)).length,
      threads: numberIn(status, /^Threads:\s+(\d+)/m),
    }
  } catch {
    return undefined
  }
}

function isSocket(pid: number, fd: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('socket:')
  } catch {
    // Closed since it was listed.
    return false
  }
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? 0)
}
