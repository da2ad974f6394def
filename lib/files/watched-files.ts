/** A value that several files make together, such as a certificate with its key, and its last good version. */
import type { Clock, EpochMilliseconds, Milliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { FileWatch } from './file-watch.ts'
import type { Logger } from '../runtime/log.ts'

export interface WatchedFilesOptions<Value> {
  /** What they are to the operator: `certificates of the listener`. */
  readonly what: string
  readonly files: readonly string[]
  readonly clock: Clock
  readonly logger: Logger
  /** Reads all of them. What it throws is for the operator and holds no secret. */
  readonly read: () => Value
  /** True when nothing has changed in between. */
  readonly isSame: (before: Value, now: Value) => boolean
  /** Called with each new good version after the first. @throws when it cannot be used after all */
  readonly onChange: (value: Value) => void
  /** @default 10 s */
  readonly pollInterval?: Milliseconds
  /** @default 50 ms */
  readonly debounce?: Milliseconds
}

/**
 * Reads files again when they change. What cannot be used changes nothing but {@link WatchedFiles.refusal}: a certificate that arrives a
 * moment before its key is no reason to stop serving with the old pair.
 */
export class WatchedFiles<Value> {
  readonly #options: WatchedFilesOptions<Value>
  readonly #watches: readonly FileWatch[]
  #current: Value
  #loadedAt: EpochMilliseconds
  #refusal: string | undefined

  /** @throws what `read` throws: without a first version there is nothing to keep */
  constructor(options: WatchedFilesOptions<Value>) {
    this.#options = options
    this.#current = options.read()
    this.#loadedAt = options.clock.wallTime()
    this.#watches = options.files.map(
      (file) =>
        new FileWatch({
          file,
          clock: options.clock,
          debounce: options.debounce ?? 50,
          pollInterval: options.pollInterval ?? 10_000,
          look: async () => this.reload(),
        }),
    )
  }

  get current(): Value {
    return this.#current
  }

  get loadedAt(): EpochMilliseconds {
    return this.#loadedAt
  }

  /** Why the files as they are now are not used, or `undefined` when they are. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  start(): void {
    for (const watch of this.#watches) watch.start()
    // They may have changed since they were first read.
    this.reload()
  }

  /** Looks now, as after SIGHUP. Never throws. */
  reload(): void {
    const { read, isSame, onChange, clock, logger, what } = this.#options
    try {
      const value = read()
      if (!isSame(this.#current, value)) {
        onChange(value)
        this.#current = value
        this.#loadedAt = clock.wallTime()
        logger.info({ what }, 'Changed files are used from now on')
      }
      this.#refusal = undefined
    } catch (thrown) {
      const cause = causeText(thrown)
      // The same bad files are logged once, not at every look.
      if (cause === this.#refusal) return
      this.#refusal = cause
      logger.error({ what, cause }, 'Changed files cannot be used, the old ones are kept')
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.close()))
  }
}
