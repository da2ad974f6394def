/** Which processes did a worker start that outlive it with copies of its sockets, and how are they ended? */
import type { Clock, Count, Milliseconds, MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { callLibc } from '../../lib/linux/libc.ts'
import { killProcess } from '../linux/pidfd.ts'
import {
  commandLineOf,
  controlGroupsOf,
  processNumbers,
  processStatus,
  socketsOf,
  startTimeOf,
  type ProcessStatus,
} from '../../lib/host/process-facts.ts'
import { mostOfWorkers } from '../privileges/privileges.ts'
import { terminalText } from '../../lib/observe/text-table.ts'

export interface StrayProcessesOptions {
  /** Whom workers run as. Processes of others are never ended, nor those of root. */
  readonly userId: number
  /** Those that this supervisor started. */
  readonly known: () => readonly number[]
  /** Workers of the supervisor before, which end in their own way. */
  readonly left: () => readonly number[]
  /** Inodes of the sockets that workers are given. */
  readonly inodes: () => ReadonlySet<string>
  readonly onKill: () => void
  readonly clock: Clock
  readonly logger: Logger
}

/** The processes of one moment that may be strays, by number. */
interface Snapshot {
  readonly at: MonotonicMilliseconds
  readonly processes: ReadonlyMap<number, ProcessStatus>
}

/** A process that is to end can go on starting others until it has. */
const mostScans: Count = 20
/** Sees what got away, and waits for those that ended. */
const lookAgain: Milliseconds = 2_000
/** Many namespaces may be taken at once, and each looks. */
const staleAfter: Milliseconds = 1_000
/** The process that becomes the parent of those that have lost theirs, where no other process does. */
const init = 1
const doNotWait = 1
const mostNamed: Count = 10
const longestCommand = 100

/**
 * Ends processes of the workers' account that no supervisor started. Workers cannot start any (`RLIMIT_NPROC`), so one that is there was
 * started by an attacker inside a worker in spite of that.
 *
 * Whatever descends from this process is found by that alone. What is left from the time of a supervisor before has no parent any more,
 * and the bounds of a worker's privileges, which no other program has; and it holds our sockets. Where these cannot be seen (that takes
 * CAP_SYS_PTRACE) it has to be of this service.
 */
export class StrayProcesses {
  readonly #options: StrayProcessesOptions
  #last: Snapshot | undefined
  #isToLookAgain = false

  constructor(options: StrayProcessesOptions) {
    this.#options = options
  }

  /** Call when a worker has ended, and when those of the supervisor before have. */
  look(): void {
    this.#end(this.#options.inodes(), this.#scan())
    // What was not yet of the workers' account when it was started is by then.
    this.#lookLater()
  }

  /**
   * Call with listening sockets that are in the way.
   * @returns how many processes were ended; the sockets are free soon after
   */
  endHolders(inodes: ReadonlySet<string>): Count {
    const { clock } = this.#options
    const isFresh = this.#last !== undefined && clock.now() - this.#last.at < staleAfter
    return this.#end(inodes, isFresh ? this.#last : this.#scan())
  }

  #end(inodes: ReadonlySet<string>, first: Snapshot | undefined): Count {
    const { logger, onKill } = this.#options
    const killed = new Set<number>()
    const commands: string[] = []
    let snapshot = first
    for (let scans = 0; scans < mostScans && snapshot !== undefined; scans += 1) {
      const found = this.#straysOf(snapshot, inodes).filter((pid) => !killed.has(pid))
      for (const pid of found) {
        const command = terminalText(commandLineOf(pid).join(' ')).slice(0, longestCommand)
        if (!this.#kill(pid, inodes)) continue
        killed.add(pid)
        commands.push(`${pid}, ${command}`)
        onKill()
      }
      snapshot = found.length === 0 ? undefined : this.#scan()
    }
    if (killed.size === 0) return 0
    logger.error(
      {
        processes: commands.slice(0, mostNamed),
        count: killed.size,
        whatToDo:
          'No worker starts a process. Look for a guest that has broken into one, and report a bug.',
      },
      'Killed processes of the account of the workers that no supervisor had started',
    )
    this.#lookLater()
    return killed.size
  }

  /** Decides once more with what is true of the process that is killed, should another have its number by now. */
  #kill(pid: number, inodes: ReadonlySet<string>): boolean {
    const startTime = startTimeOf(pid)
    const now = this.#scanOf([pid, ...(this.#last?.processes.keys() ?? [])])
    if (startTime === undefined || !this.#straysOf(now, inodes).includes(pid)) return false
    return killProcess(pid, startTime)
  }

  #lookLater(): void {
    if (this.#isToLookAgain) return
    this.#isToLookAgain = true
    this.#options.clock.schedule(lookAgain, () => {
      this.#isToLookAgain = false
      this.#end(this.#options.inodes(), this.#scan())
    })
  }

  #scan(): Snapshot {
    this.#last = this.#scanOf(processNumbers())
    return this.#last
  }

  #scanOf(pids: readonly number[]): Snapshot {
    const { clock, userId, known } = this.#options
    const started = new Set(known())
    const processes = new Map<number, ProcessStatus>()
    for (const pid of pids) {
      const status = processStatus(pid)
      if (status === undefined || !status.userIds.every((id) => id === userId)) continue
      if (!status.isZombie) processes.set(pid, status)
      else if (status.parent === process.pid && !started.has(pid)) forget(pid)
    }
    return { at: clock.now(), processes }
  }

  #straysOf({ processes }: Snapshot, inodes: ReadonlySet<string>): number[] {
    const { known, left } = this.#options
    const legitimate = new Set([...known(), ...left()])
    // Of one that could not be started; and the parent of whatever came into this container from outside.
    legitimate.delete(0)
    const reapers = ancestors()
    const groups = controlGroupsOf('self')
    const bounds = processStatus(process.pid)?.boundingSet ?? mostOfWorkers
    return [...processes.values()].flatMap((status) => {
      const { pid } = status
      if (pid === process.pid || legitimate.has(pid)) return []
      const ancestor = ancestorOf(status, processes, legitimate)
      if (ancestor === process.pid || legitimate.has(ancestor)) return pid
      // Workers of another it as their ancestor.
      if (!reapers.has(ancestor) || !looksLikeWorker(status, bounds)) return []
      const sockets = socketsOf(pid)
      const isOurs = sockets?.some((inode) => inodes.has(inode)) ?? controlGroupsOf(pid) === groups
      return isOurs ? pid : []
    })
  }
}

/** Of another account, or legitimate. */
function ancestorOf(
  { parent }: ProcessStatus,
  processes: ReadonlyMap<number, ProcessStatus>,
  legitimate: ReadonlySet<number>,
): number {
  let ancestor = parent
  // A scan is no moment: numbers that were used again could make a circle.
  for (let steps = 0; steps < processes.size; steps += 1) {
    const next = legitimate.has(ancestor) ? undefined : processes.get(ancestor)
    if (next === undefined) break
    ancestor = next.parent
  }
  return ancestor
}

/** Of this process, and of all. */
function ancestors(): ReadonlySet<number> {
  const found = new Set([init])
  for (let pid = process.ppid; pid > init && !found.has(pid);) {
    found.add(pid)
    pid = processStatus(pid)?.parent ?? init
  }
  return found
}

/** @param bounds of this process, which are those of its children as well */
function looksLikeWorker(
  { hasNoNewPrivileges, boundingSet }: ProcessStatus,
  bounds: bigint,
): boolean {
  const isRestricted = (boundingSet & ~mostOfWorkers) === 0n
  return hasNoNewPrivileges && isRestricted && boundingSet === bounds
}

/** It is our child because its parent has ended, and stays in the list until it is waited for. */
function forget(pid: number): void {
  try {
    callLibc('waitpid', pid, Buffer.alloc(4), doNotWait)
  } catch {
    // It is another's.
  }
}
