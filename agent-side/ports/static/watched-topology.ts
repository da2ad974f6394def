import type { Clock, EpochMilliseconds, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText } from '../../../lib/runtime/errors.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import { FileWatch } from '../../../lib/files/file-watch.ts'
import { StaticFileError } from './problems.ts'
import { fileVersion, readWholeText, type VersionedText } from './read-topology.ts'
import { readTopology } from './topology-reader.ts'
import type { StaticTopology } from './topology.ts'

export interface WatchedTopologyOptions {
  readonly file: string
  readonly clock: Clock
  readonly logger: Logger
  /** @default 10 s */
  readonly pollInterval?: Milliseconds
  /** @default 50 ms */
  readonly debounce?: Milliseconds
  /** Called with every good file, before it counts as the current one. */
  readonly onLoaded?: (topology: StaticTopology) => void
  /** Called once for every file that cannot be used. */
  readonly onRefused?: () => void
}

/** How many problems of a bad file the log and the readiness repeat. */
const mostProblemsLogged = 20

/**
 * The last good version of a file of ports. The file is watched; each version is read once, and one that cannot be
 * used changes nothing but {@link WatchedTopology.refusal}.
 */
export class WatchedTopology {
  readonly #options: WatchedTopologyOptions
  readonly #watch: FileWatch
  readonly #abort = new AbortController()
  #current: StaticTopology | undefined
  #loadedAt: EpochMilliseconds = 0
  /** The version last looked at, good or bad. */
  #version: string | undefined
  #refusal: string | undefined

  constructor(options: WatchedTopologyOptions) {
    this.#options = options
    this.#watch = new FileWatch({
      file: options.file,
      clock: options.clock,
      debounce: options.debounce ?? 50,
      pollInterval: options.pollInterval ?? 10_000,
      look: () => this.#look(),
    })
  }

  /** `undefined` until a good file has been read. */
  get current(): StaticTopology | undefined {
    return this.#current
  }

  get loadedAt(): EpochMilliseconds {
    return this.#loadedAt
  }

  /** Why the file as it is now is not used, or `undefined` when it is. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** Reads the file and begins to watch it. A file that cannot be used is no error here. */
  async start(): Promise<void> {
    this.#watch.start()
    await this.#watch.lookNow()
  }

  /** Looks at the file now instead of when its change is noticed. */
  async reload(): Promise<void> {
    await this.#watch.lookNow()
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#abort.abort()
    await this.#watch.close()
  }

  async #look(): Promise<void> {
    try {
      const read = await this.#readIfChanged()
      if (read === undefined) return
      this.#version = read.version
      const task = { text: read.text, file: this.#options.file }
      this.#accept(await readTopology(task, this.#abort.signal))
    } catch (cause) {
      if (!this.#abort.signal.aborted) this.#refuse(cause)
    }
  }

  /** @returns `undefined` when this version of the file has been looked at already */
  async #readIfChanged(): Promise<VersionedText | undefined> {
    const { file } = this.#options
    try {
      if (this.#version !== undefined && (await fileVersion(file)) === this.#version) {
        return undefined
      }
      return await readWholeText(file)
    } catch (cause) {
      // The next look reads whatever is there then, also what was there before.
      this.#version = undefined
      throw cause
    }
  }

  #accept(topology: StaticTopology): void {
    const { clock, file, logger, onLoaded } = this.#options
    onLoaded?.(topology)
    this.#current = topology
    this.#loadedAt = clock.wallTime()
    this.#refusal = undefined
    logger.info({ file, ports: topology.ports.length }, 'File of ports read')
  }

  #refuse(cause: unknown): void {
    const { file, logger, onRefused } = this.#options
    const problems = cause instanceof StaticFileError ? cause.problems : [causeText(cause)]
    const refusal = problems.slice(0, mostProblemsLogged).join('; ')
    // The same bad file is logged once, not at every look.
    const isNews = refusal !== this.#refusal
    this.#refusal = refusal
    if (!isNews) return
    onRefused?.()
    const details = {
      file,
      problems: problems.slice(0, mostProblemsLogged),
      count: problems.length,
    }
    logger.error(details, 'File of ports cannot be used')
  }
}
