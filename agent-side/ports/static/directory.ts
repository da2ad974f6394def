import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import type { RouterId } from '../../../lib/identity/ids.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import type {
  DirectoryChange,
  InterfacesAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
} from '../directory/port-directory.ts'
import type { StaticMetrics } from './metrics.ts'
import { PortIndex } from './port-index.ts'
import { topologyChanges } from './topology-changes.ts'
import type { StaticTopology } from './topology.ts'
import { WatchedTopology } from './watched-topology.ts'

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
interface Held {
  readonly topology: StaticTopology
  readonly index: PortIndex
}

/**
 * Answers from a file. It holds everything in memory, so it answers at once and never waits; once it has read a
 * good file it stays ready, whatever happens to the file.
 */
export class StaticPortDirectory implements PortDirectory {
  readonly kind = 'static'
  readonly #options: StaticPortDirectoryOptions
  readonly #watched: WatchedTopology
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  #held: Held | undefined

  constructor(options: StaticPortDirectoryOptions) {
    this.#options = options
    this.#watched = new WatchedTopology({
      ...options,
      onLoaded: (topology) => this.#replace(topology),
      onRefused: () => options.metrics?.refused(),
    })
  }

  /** Reads the file. One that cannot be used is no error: the directory is not ready until it can. */
  async start(): Promise<void> {
    await this.#watched.start()
  }

  async close(): Promise<void> {
    await this.#watched.close()
    this.#listeners.clear()
  }

  /** Looks at the file now instead of when its change is noticed. */
  async reload(): Promise<void> {
    await this.#watched.reload()
  }

  readiness(): Readiness {
    const { refusal, loadedAt } = this.#watched
    if (this.#held === undefined) {
      return { ready: false, detail: refusal ?? 'The file has not been read yet' }
    }
    const { ports, networks, routers } = this.#held.topology
    const when = new Date(loadedAt).toISOString()
    const held = `${ports.length} ports of ${networks.size} networks and ${routers.size} routers, read at ${when}`
    const detail =
      refusal === undefined ? held : `${held}. The file as it is now is not used: ${refusal}`
    return { ready: true, detail }
  }

  interfacesOfRouter(routerId: RouterId): InterfacesAnswer {
    const { topology } = this.#loaded()
    return { interfaces: topology.routers.get(routerId) ?? [], asOf: this.#options.clock.now() }
  }

  findPorts(query: PortQuery): PortsAnswer {
    return { ports: this.#loaded().index.find(query), asOf: this.#options.clock.now() }
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  allPorts(): Iterable<Port> {
    return this.#held?.topology.ports ?? []
  }

  #loaded(): Held {
    if (this.#held !== undefined) return this.#held
    throw new MetadataError(
      'directory_not_ready',
      `Cannot look up ports: no usable file "${this.#options.file}" has been read yet`,
    )
  }

  #replace(topology: StaticTopology): void {
    const { clock, file, logger, metrics } = this.#options
    const changes = topologyChanges(this.#held?.topology, topology)
    const index = new PortIndex(topology.ports)
    this.#held = { topology, index }
    metrics?.loaded(topology.ports.length, clock.wallTime() / 1_000)
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
}
