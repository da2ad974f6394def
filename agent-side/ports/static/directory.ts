import type { Clock, Milliseconds } from '../../../lib/clock.ts'
import { causeText, MetadataError } from '../../../lib/errors.ts'
import type { RouterId } from '../../../lib/ids.ts'
import type { Logger } from '../../../lib/log.ts'
import type {
  DirectoryChange,
  NetworksAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
} from '../port-directory.ts'
import { FileWatch } from './file-watch.ts'
import type { StaticMetrics } from './metrics.ts'
import { PortIndex } from './port-index.ts'
import { StaticFileError } from './problems.ts'
import { fileVersion, parseTopology, readWholeText, type VersionedText } from './read-topology.ts'
import { topologyChanges } from './topology-changes.ts'
import type { StaticTopology } from './topology.ts'

export interface StaticPortDirectoryOptions {
  readonly file: string
  readonly clock: Clock
  readonly logger: Logger
  /** @default 10 s */
  readonly pollInterval?: Milliseconds
  /** @default 50 ms */
  readonly debounce?: Milliseconds
  readonly metrics?: StaticMetrics
}

/** One good file; replaced as a whole, so that no answer mixes two. */
interface Loaded {
  readonly topology: StaticTopology
  readonly index: PortIndex
}

/** How many problems of a bad file the log and the readiness repeat. */
const mostProblemsTold = 20

/**
 * Answers from a file. It holds everything in memory, so it answers at once and never waits; once it has read a
 * good file it stays ready, whatever happens to the file.
 */
export class StaticPortDirectory implements PortDirectory {
  readonly kind = 'static'
  readonly #options: StaticPortDirectoryOptions
  readonly #watch: FileWatch
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  #loaded: Loaded | undefined
  #loadedAt = ''
  /** The version last looked at, good or bad: each is read once. */
  #version: string | undefined
  #refusal: string | undefined

  constructor(options: StaticPortDirectoryOptions) {
    this.#options = options
    this.#watch = new FileWatch({
      file: options.file,
      clock: options.clock,
      debounce: options.debounce ?? 50,
      pollInterval: options.pollInterval ?? 10_000,
      look: () => this.#look(),
    })
  }

  /** Reads the file. One that cannot be used is no error: the directory is not ready until it can. */
  async start(): Promise<void> {
    this.#watch.start()
    await this.#watch.lookNow()
  }

  async close(): Promise<void> {
    await this.#watch.close()
    this.#listeners.clear()
  }

  /** Looks at the file now instead of when its change is noticed. */
  async reload(): Promise<void> {
    await this.#watch.lookNow()
  }

  readiness(): Readiness {
    const refusal = this.#refusal
    if (this.#loaded === undefined) {
      return { ready: false, detail: refusal ?? 'The file has not been read yet' }
    }
    const { ports, networks, routers } = this.#loaded.topology
    const held = `${ports.length} ports of ${networks.size} networks and ${routers.size} routers, read at ${this.#loadedAt}`
    return {
      ready: true,
      detail:
        refusal === undefined ? held : `${held}. The file as it is now is not used: ${refusal}`,
    }
  }

  networksOfRouter(routerId: RouterId): NetworksAnswer {
    const { topology } = this.#held()
    return { networkIds: topology.routers.get(routerId) ?? [], asOf: this.#options.clock.now() }
  }

  findPorts(query: PortQuery): PortsAnswer {
    return { ports: this.#held().index.find(query), asOf: this.#options.clock.now() }
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  allPorts(): Iterable<Port> {
    return this.#loaded?.topology.ports ?? []
  }

  #held(): Loaded {
    if (this.#loaded !== undefined) return this.#loaded
    throw new MetadataError(
      'directory_not_ready',
      `Cannot look up ports: no usable file "${this.#options.file}" has been read yet`,
    )
  }

  async #look(): Promise<void> {
    try {
      const read = await this.#readIfChanged()
      if (read === undefined) return
      this.#version = read.version
      this.#accept(parseTopology(read.text, this.#options.file))
    } catch (cause) {
      this.#refuse(cause)
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
    const { clock, file, logger, metrics } = this.#options
    const changes = topologyChanges(this.#loaded?.topology, topology)
    const index = new PortIndex(topology.ports)
    const now = clock.wallTime()
    this.#loaded = { topology, index }
    this.#loadedAt = new Date(now).toISOString()
    this.#refusal = undefined
    metrics?.loaded(topology.ports.length, now / 1_000)
    const counts = { ports: topology.ports.length, changes: changes.length }
    logger.info({ file, ...counts }, 'File of ports read')
    if (index.shared.length > 0) {
      logger.warn({ file, shared: index.shared }, 'Several ports of a network share an address')
    }
    for (const change of changes) this.#tell(change)
  }

  #tell(change: DirectoryChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (cause) {
        // The others must hear of it all the same: they remember answers that are wrong now.
        this.#options.logger.error({ cause: causeText(cause) }, 'Listener of a change failed')
      }
    }
  }

  #refuse(cause: unknown): void {
    const { file, logger, metrics } = this.#options
    const problems = cause instanceof StaticFileError ? cause.problems : [causeText(cause)]
    const refusal = problems.slice(0, mostProblemsTold).join('; ')
    // The same bad file is told once, not at every look.
    const isNews = refusal !== this.#refusal
    this.#refusal = refusal
    if (!isNews) return
    metrics?.refused()
    const told = { file, problems: problems.slice(0, mostProblemsTold), count: problems.length }
    logger.error(told, 'File of ports cannot be used')
  }
}
