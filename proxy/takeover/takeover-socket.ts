/** Where do workers wait for the next supervisor, should this one crash? */
import { closeSync, lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { listenForDescriptors } from '../linux/unix-socket.ts'
import type { TakeoverPlace } from '../supervisor/worker-process.ts'
import { isListenedAt, releaseLeftWorkers } from './takeover.ts'

export interface TakeoverSocketOptions {
  /** @see takeoverSocketPath */
  readonly path: string
  /** For which workers go on without a supervisor; 0: they do not. */
  readonly limit: Milliseconds
  readonly onChange: (takeover: TakeoverPlace | undefined) => void
  readonly clock: Clock
  readonly logger: Logger
}

/** Beside the admin socket, which every proxy has for itself. */
export function takeoverSocketPath(adminSocket: string): string {
  return `${adminSocket}.takeover`
}

/** Where the socket is put aside while its successor is made. Whoever dies between the two leaves it there. */
export function formerSocketPath(path: string): string {
  return `${path}.former`
}

/** One supervisor follows. */
const backlog: Count = 8

/**
 * Made by the supervisor and accepted on by workers that have none any more, so that whoever connects knows by the kernel's word whose it
 * is. While the supervisor lives no process answers there: a worker that did so could send the next supervisor nothing that is trusted.
 */
export class TakeoverSocket {
  readonly #options: TakeoverSocketOptions
  #fd: number | undefined
  #isStarted = false

  constructor(options: TakeoverSocketOptions) {
    this.#options = options
  }

  /**
   * We serve: workers outlive this process from now on, and those of a dead one are released. In this order the next supervisor finds
   * a process that serves, whenever this one dies. The admin socket must be this process's own by now. Does nothing when called again.
   * @returns false when one of those before does not obey
   */
  async start(): Promise<boolean> {
    if (this.#isStarted) return true
    this.#isStarted = true
    const { path, clock, logger } = this.#options
    const former = { path: formerSocketPath(path), clock, logger }
    // One died in the middle of this. The workers it left hold the same sockets as those before them.
    const areReleased = !isListenedAt(path) || (await releaseLeftWorkers(former))
    this.#open(former.path)
    return (await releaseLeftWorkers(former)) && areReleased
  }

  #open(formerPath: string): void {
    const { path, limit, onChange, logger } = this.#options
    try {
      if (isListenedAt(path)) renameSync(path, formerPath)
      else if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path)
      if (limit === 0) return
      this.#fd = listenForDescriptors(path, backlog)
      onChange({ fd: this.#fd, deadline: limit })
    } catch (cause) {
      logger.warn({ path, cause: causeText(cause) }, 'Workers will end if this process dies')
    }
  }

  /** Leaves the socket to the workers, which serve until the next supervisor does. May be called twice. */
  leave(): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
  }

  /** Workers end with this process from now on. May be called twice. */
  close(): void {
    if (this.#fd === undefined) return
    this.#options.onChange(undefined)
    closeSync(this.#fd)
    this.#fd = undefined
    rmSync(this.#options.path, { force: true })
  }
}
