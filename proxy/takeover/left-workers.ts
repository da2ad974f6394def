/** Which workers did a supervisor before this one leave, and how are they ended that do not end by themselves? */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Cancel, Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { readCount, readFields, readList } from '../../lib/wire/message-fields.ts'
import { startTimeOf } from '../../lib/host/process-facts.ts'
import { killProcess } from '../linux/pidfd.ts'

/** A process and when it began, by which it cannot be mistaken for a later one of the same number. */
export interface RecordedProcess {
  readonly pid: number
  /** In ticks since the machine was started. */
  readonly startTime: number
}

const most = 65_536
const mostPid = 2 ** 22

/** Beside the admin socket, which every proxy has for itself. */
export function workerRecordPath(adminSocket: string): string {
  return `${adminSocket}.workers`
}

/**
 * The processes of all workers, in a file that root alone can write, so that the next supervisor knows whom it may end. Made before
 * anything of this supervisor is recorded.
 */
export class WorkerRecord {
  readonly #path: string
  readonly #logger: Logger
  #left: readonly RecordedProcess[]

  constructor(path: string, logger: Logger) {
    this.#path = path
    this.#logger = logger
    this.#left = readRecord(path).filter(isRunning)
  }

  /** Those of supervisors before this one that still run. */
  left(): readonly RecordedProcess[] {
    this.#left = this.#left.filter(isRunning)
    return this.#left
  }

  /** Records the workers of this supervisor, beside those that are left. */
  note(pids: readonly number[]): void {
    const own = pids.flatMap((pid) => {
      const startTime = startTimeOf(pid)
      return startTime === undefined ? [] : [{ pid, startTime: Number(startTime) }]
    })
    const temporary = `${this.#path}.new`
    try {
      writeFileSync(temporary, JSON.stringify([...this.left(), ...own]), { mode: 0o600 })
      renameSync(temporary, this.#path)
    } catch (cause) {
      this.#logger.warn(
        { path: this.#path, cause: causeText(cause) },
        'The next supervisor will not know the workers of this one',
      )
    }
  }

  /** Ends those that are left. @returns how many there were */
  killLeft(): Count {
    return this.left().filter(({ pid, startTime }) => killProcess(pid, String(startTime))).length
  }
}

export interface LeftWorkersOptions {
  readonly record: WorkerRecord
  /** They are gone: what could not be listened on is tried again. */
  readonly onGone: () => void
  readonly onKill: () => void
  readonly clock: Clock
  readonly logger: Logger
}

/** They finish what is under way in 10 s. */
const drainLimit: Milliseconds = 11_000
const endLimit: Milliseconds = 2_000
const pollPause: Milliseconds = 10

/** Ends workers of a supervisor before this one that do not end by themselves. */
export class LeftWorkers {
  readonly #options: LeftWorkersOptions
  #cancel: Cancel | undefined

  constructor(options: LeftWorkersOptions) {
    this.#options = options
  }

  /**
   * Call when they have the order to end.
   * @param areReleased false when one did not obey: it may listen wherever we must, so it is not waited for
   */
  async seeOff(areReleased: boolean): Promise<void> {
    const { record, clock } = this.#options
    if (record.left().length === 0) return
    if (areReleased) this.#cancel = clock.schedule(drainLimit, () => void this.#kill())
    else await this.#kill()
  }

  close(): void {
    this.#cancel?.()
  }

  async #kill(): Promise<void> {
    const { record, onKill, onGone, clock, logger } = this.#options
    const workers = record.left().map(({ pid }) => pid)
    if (record.killLeft() === 0) return
    for (const _worker of workers) onKill()
    logger.error({ workers }, 'Killed workers of the supervisor before that did not end')
    const end = clock.now() + endLimit
    while (record.left().length > 0 && clock.now() < end) await clock.sleep(pollPause)
    onGone()
  }
}

/** @returns an empty list where there is no such file, or no record in it */
function readRecord(path: string): readonly RecordedProcess[] {
  try {
    return readList(JSON.parse(readFileSync(path, 'utf8')), most, readProcess) ?? []
  } catch {
    return []
  }
}

function readProcess(value: unknown): RecordedProcess | undefined {
  const { pid, startTime } = readFields(value) ?? {}
  const read = {
    pid: readCount(pid, mostPid),
    startTime: readCount(startTime, Number.MAX_SAFE_INTEGER),
  }
  return read.pid === undefined || read.startTime === undefined
    ? undefined
    : { pid: read.pid, startTime: read.startTime }
}

function isRunning({ pid, startTime }: RecordedProcess): boolean {
  return startTimeOf(pid) === String(startTime)
}
