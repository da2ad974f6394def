/** Where do workers hear the next opener, should this one die without a word? */
import { closeSync, lstatSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { causeText } from '../../lib/runtime/errors.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import { listenForDescriptors } from '../linux/unix-socket.ts'
import type { TakeoverSocket } from '../supervisor/worker-process.ts'
import { isListenedAt, releaseOrphans } from './takeover.ts'

export interface OrphanSocketOptions {
  /** @see orphanSocketPath */
  readonly path: string
  /** For which workers go on without an opener; 0: they do not. */
  readonly limit: Milliseconds
  readonly onChange: (takeover: TakeoverSocket | undefined) => void
  readonly clock: Clock
  readonly logger: Logger
}

/** Beside the admin socket, which every proxy has for itself. */
export function orphanSocketPath(adminSocket: string): string {
  return `${adminSocket}.orphans`
}

/** Where the socket is put aside while its successor is made. Whoever dies between the two leaves it there. */
export function formerSocketPath(path: string): string {
  return `${path}.former`
}

/** One opener follows. */
const backlog: Count = 8

/**
 * Made by the opener and accepted on by workers that have none any more, so that whoever connects knows by the kernel's word whose it
 * is. While the opener lives nobody answers there: a worker that did so could tell the next opener nothing that it believes.
 */
export class OrphanSocket {
  readonly #options: OrphanSocketOptions
  #fd: number | undefined
  #isStarted = false

  constructor(options: OrphanSocketOptions) {
    this.#options = options
  }

  /**
   * We serve: workers outlive this process from now on, and those of a dead one are released. In this order the next opener finds
   * somebody who serves, whenever this one dies. The admin socket must be this process's own by now. Does nothing when called again.
   * @returns false when one of those before does not obey
   */
  async start(): Promise<boolean> {
    if (this.#isStarted) return true
    this.#isStarted = true
    const { path, clock, logger } = this.#options
    const former = { path: formerSocketPath(path), clock, logger }
    // One died in the middle of this. The workers it left hold the same sockets as those before them.
    const areReleased = !isListenedAt(path) || (await releaseOrphans(former))
    this.#open(former.path)
    return (await releaseOrphans(former)) && areReleased
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
