import { writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'

const highest = -15

/** Gives a process the processor before whatever else the machine does, which is not to be measured. */
export function prefer(pid: number): void {
  setPriority(pid, highest)
  try {
    // Where sessions share the processor, priorities count inside of one only: sched(7), "The autogroup feature".
    writeFileSync(`/proc/${pid}/autogroup`, String(highest))
  } catch {
    // This kernel has no such thing.
  }
}
