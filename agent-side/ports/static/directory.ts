import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import type { RouterId } from '../../../lib/identity/ids.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import { ChangeListeners } from '../directory/changes.ts'
import type { DirectoryParts } from '../directory/directory-parts.ts'
import type {
  DirectoryChange,
  InterfacesAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
} from '../directory/port-directory.ts'
import type { StaticConfig } from './config.ts'
import { StaticMetrics } from './metrics.ts'
import { StaticPortIndex } from './port-index.ts'
import { topologyChanges } from './topology-changes.ts'
import type { StaticTopology } from './topology.ts'
import { WatchedTopology } from './watched-topology.ts'

/** What the directory works with, beside its configuration. */
export interface StaticParts extends DirectoryParts {
  /** Quiet time after a change of the file. @default 50 ms */
  readonly debounce?: Milliseconds
}

/** One good file; replaced as a whole, so that no answer mixes two. */
interface LoadedFile {
  readonly topology: StaticTopology
  readonly index: StaticPortIndex
}

function unusedFile(file: string, when: string, refusal: string): Readiness['trouble'] {
  return { names: 'some', what: `${file} is not used since ${when}: ${refusal}` }
}

/**
 * Answers from a file. It holds everything in memory, so it answers at once and never waits; once it has read a
 * good file it stays ready, whatever happens to the file.
 */
export class StaticDirectory implements PortDirectory {
  readonly kind = 'static'
  readonly #file: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #changes: ChangeListeners
  readonly #metrics: StaticMetrics
  readonly #watched: WatchedTopology
  #held: LoadedFile | undefined

  constructor(config: StaticConfig, parts: StaticParts) {
    const { clock, logger, registry, debounce } = parts
    this.#file = config.file
    this.#clock = clock
    this.#logger = logger
    this.#changes = new ChangeListeners(this.kind, logger)
    this.#metrics = new StaticMetrics(registry)
    this.#watched = new WatchedTopology({
      file: config.file,
      pollInterval: config.poll_interval,
      clock,
      logger,
      ...(debounce !== undefined && { debounce }),
      onLoaded: (topology) => this.#replace(topology),
      onRefused: () => this.#metrics.loaded('refused'),
    })
    this.#metrics.watch(this, () => {
      const { ports = [], networks } = this.#held?.topology ?? {}
      return { ports: ports.length, networks: networks?.size ?? 0 }
    })
  }

  /** Reads the file. One that cannot be used is no error: the directory is not ready until it can. */
  async start(): Promise<void> {
    await this.#watched.start()
  }

  async close(): Promise<void> {
    await this.#watched.close()
    this.#changes.clear()
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
    const trouble = refusal === undefined ? undefined : unusedFile(this.#file, when, refusal)
    return { ready: true, detail, trouble }
  }

  interfacesOfRouter(routerId: RouterId): InterfacesAnswer {
    const { topology } = this.#loaded()
    this.#metrics.answered('copy')
    return { interfaces: topology.routers.get(routerId) ?? [], asOf: this.#clock.now() }
  }

  findPorts(query: PortQuery): PortsAnswer {
    const { index } = this.#loaded()
    this.#metrics.answered('copy')
    return { ports: index.find(query), asOf: this.#clock.now() }
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    return this.#changes.subscribe(listener)
  }

  allPorts(): Iterable<Port> {
    return this.#held?.topology.ports ?? []
  }

  #loaded(): LoadedFile {
    if (this.#held !== undefined) return this.#held
    throw new MetadataError(
      'directory_not_ready',
      `Cannot look up ports: no usable file "${this.#file}" has been read yet`,
    )
  }

  #replace(topology: StaticTopology): void {
    const changes = topologyChanges(this.#held?.topology, topology)
    const index = new StaticPortIndex(topology.ports)
    this.#held = { topology, index }
    this.#metrics.loaded('loaded')
    this.#metrics.loadedAt(this.#clock.wallTime())
    if (index.shared.length > 0) {
      const details = { file: this.#file, shared: index.shared }
      this.#logger.warn(details, 'Several ports of a network share an address')
    }
    for (const change of changes) this.#changes.report(change)
  }
}
