/** How is another process held on to, its descriptors copied, and signalled, without mistaking a later one for it? */
import { closeSync } from 'node:fs'
import { callLibc } from '../../lib/linux/libc.ts'
import { startTimeOf } from '../../lib/host/process-facts.ts'

/** Since Linux 5.1, 5.3 and 5.6; the numbers are the same on every architecture. @see pidfd_open(2), pidfd_getfd(2) */
const call = { sendSignal: 424, open: 434, copyDescriptor: 438 } as const

const signals = { SIGUSR1: 10, SIGTERM: 15, SIGKILL: 9 } as const

/** A process, whatever becomes of its number. */
export class Pidfd {
  readonly #fd: number

  /** @throws {SystemCallError} ESRCH when there is no such process, ENOSYS on older kernels */
  constructor(pid: number) {
    this.#fd = callLibc('syscall', call.open, pid, 0, 0, 0)
  }

  /** A copy of one of its descriptors, closed on exec. @throws {SystemCallError} EPERM without CAP_SYS_PTRACE */
  copyDescriptor(fd: number): number {
    return callLibc('syscall', call.copyDescriptor, this.#fd, fd, 0, 0)
  }

  /** @returns false when it has ended */
  signal(name: keyof typeof signals): boolean {
    try {
      callLibc('syscall', call.sendSignal, this.#fd, signals[name], 0, 0)
      return true
    } catch {
      return false
    }
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/**
 * Kills the process that has a number and started at a time. It is held on to first: whatever has that start time then is the one meant.
 * @param startTime as {@link startTimeOf} returns it
 * @returns false when it has ended
 */
export function killProcess(pid: number, startTime: string): boolean {
  let held: Pidfd
  try {
    held = new Pidfd(pid)
  } catch {
    return false
  }
  try {
    return startTimeOf(pid) === startTime && held.signal('SIGKILL')
  } finally {
    held.close()
  }
}
