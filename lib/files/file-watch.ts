import { watch, type FSWatcher } from 'node:fs'
import { dirname } from 'node:path'
import type { Cancel, Clock, Milliseconds, MonotonicMilliseconds } from '../runtime/clock.ts'

export interface FileWatchOptions {
  readonly file: string
  readonly clock: Clock
  /** How long nothing may happen before the file is looked at: an editor and a rollout make several events of one change. */
  readonly debounce: Milliseconds
  /** How often it is looked at anyway, since some file systems report nothing. */
  readonly pollInterval: Milliseconds
  /** Looks whether the file has changed. Never called twice at once. */
  readonly look: () => Promise<void>
}

/** How often a file is looked at whose folder cannot be watched: for lack of inotify instances, or on a file system without reports. */
const unwatchedInterval: Milliseconds = 1_000

/** How many times the debounce a look is put off at most. */
const longestDebounce = 10

/**
 * Has a file looked at whenever its directory reports a change, and every now and then anyway. The directory is
 * watched instead of the file: editors put a new file in its place, and Kubernetes turns a symbolic link beside it.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  #watcher: FSWatcher | undefined
  #cancelDebounce: Cancel | undefined
  /** Since when things have not been quiet. */
  #busySince: MonotonicMilliseconds | undefined
  #cancelPoll: Cancel | undefined
  #looking: Promise<void> | undefined
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#watchDirectory()
    this.#schedulePoll()
  }

  /** Looks now; a look that is already under way is waited for first, since it may have begun too early. */
  async lookNow(): Promise<void> {
    while (this.#looking !== undefined) await this.#looking
    if (this.#closed) return
    this.#looking = this.#options.look().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  /** May be called twice. Resolves when no look is under way any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#watcher?.close()
    this.#cancelDebounce?.()
    this.#cancelPoll?.()
    await this.#looking
  }

  #watchDirectory(): void {
    this.#watcher?.close()
    this.#watcher = undefined
    try {
      const watcher = watch(dirname(this.#options.file), { persistent: false })
      watcher.on('change', () => this.#lookSoon())
      // The directory is gone or cannot be watched: the poll finds it when it is there again.
      watcher.on('error', () => {
        watcher.close()
        if (this.#watcher !== watcher) return
        this.#watcher = undefined
        if (!this.#closed && this.#cancelPoll !== undefined) this.#schedulePoll()
      })
      this.#watcher = watcher
    } catch {
      // As above: a missing report is no failure while the poll looks.
    }
  }

  #lookSoon(): void {
    if (this.#closed) return
    const { clock, debounce } = this.#options
    this.#busySince ??= clock.now()
    // In a folder where others write all the time it never gets quiet.
    if (clock.now() - this.#busySince > longestDebounce * debounce) return
    this.#cancelDebounce?.()
    this.#cancelDebounce = clock.schedule(debounce, () => {
      this.#busySince = undefined
      void this.lookNow()
    })
  }

  #schedulePoll(): void {
    const { clock, pollInterval } = this.#options
    const interval = this.#watcher === undefined ? unwatchedInterval : pollInterval
    this.#cancelPoll?.()
    this.#cancelPoll = clock.schedule(Math.min(pollInterval, interval), () => {
      this.#cancelPoll = undefined
      void this.#poll()
    })
  }

  async #poll(): Promise<void> {
    // The directory itself may have been replaced, and a watch follows the old one.
    if (!this.#closed) this.#watchDirectory()
    await this.lookNow()
    if (!this.#closed) this.#schedulePoll()
  }
}
