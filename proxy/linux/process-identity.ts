/** Which process is this, distinguished from a later one with the same number? */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * When a process started, in the kernel's clock ticks since boot.
 * @returns `undefined` when there is no such process, or it has ended and only its parent has not waited for it
 * @see proc(5), fields 3 and 22 of /proc/PID/stat
 */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The command in parentheses may itself contain parentheses and spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/**
 * The words a process was started with.
 * @returns none when there is no such process, or it is one of the kernel's
 */
export function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** What a link of `/proc` names: `socket:[1234]`, `net:[4026531840]`. @returns `undefined` when it is gone, or not ours to read */
export function procLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The descriptors of a process and what each is, `socket:[1234]`. @throws NodeJS.ErrnoException when it is gone, or not ours to read */
export function descriptorsOf(pid: number): readonly (readonly [fd: number, link: string])[] {
  return readdirSync(`/proc/${pid}/fd`).map(
    (fd) => [Number(fd), procLink(`/proc/${pid}/fd/${fd}`) ?? ''] as const,
  )
}
