import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../../lib/clock.ts'
import { causeText, MetadataError } from '../../../lib/errors.ts'
import type { RouterId } from '../../../lib/ids.ts'
import type { Logger } from '../../../lib/log.ts'
import { OvsdbClient, type OvsdbState } from '../../../lib/ovsdb/client.ts'
import type { CopyBuilder, MonitorConsumer } from '../../../lib/ovsdb/monitor.ts'
import { ovsdbLimits } from '../../../lib/ovsdb/options.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'
import type {
  Asked,
  DirectoryChange,
  InterfacesAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
} from '../port-directory.ts'
import { AgentHeartbeat } from './agent-heartbeat.ts'
import { heartbeatOptions } from './heartbeat-settings.ts'
import type { OvnConfig } from './config.ts'
import type { OvnMetrics } from './metrics.ts'
import { southboundTables } from './schema.ts'
import { SouthboundCopy, type Touched } from './southbound-copy.ts'

export interface OvnPortDirectoryOptions {
  readonly config: OvnConfig
  readonly clock: Clock
  readonly logger: Logger
  /** From 0 to below 1. @default Math.random */
  readonly random?: () => number
  readonly metrics?: OvnMetrics
}

/** Beyond this many, forgetting everything is cheaper than forgetting one by one. */
const mostChanges = 1_000

/**
 * Answers from an own copy of OVN's southbound database, which the server keeps in step. Nothing is ever asked for a
 * request: an answer comes at once, and a change is in it before the next one.
 *
 * While no server confirms the copy it is used for a while longer, but only for what an old copy can be right about: see
 * README.md.
 */
export class OvnPortDirectory implements PortDirectory, MonitorConsumer {
  readonly kind = 'ovn'
  readonly #options: OvnPortDirectoryOptions
  readonly #client: OvsdbClient
  readonly #heartbeat: AgentHeartbeat | undefined
  readonly #listeners = new Set<(change: DirectoryChange) => void>()
  #copy: SouthboundCopy | undefined
  #copiedAt: MonotonicMilliseconds = -Infinity

  constructor(options: OvnPortDirectoryOptions) {
    const { config, clock, logger, metrics, random = Math.random } = options
    this.#options = options
    this.#client = new OvsdbClient({
      endpoints: config.ovn_sb_connection,
      tls: {
        privateKey: config.ovn_sb_private_key,
        certificate: config.ovn_sb_certificate,
        caCertificate: config.ovn_sb_ca_cert,
        verifyHost: config.verify_server_name,
      },
      database: 'OVN_Southbound',
      leaderOnly: config.leader_only,
      clock,
      logger,
      random,
      limits: ovsdbLimits(config),
    })
    this.#client.addMonitor({
      name: 'ports',
      database: 'OVN_Southbound',
      tables: southboundTables,
      consumer: this,
    })
    this.#client.onState((state) => this.#noteState(state))
    metrics?.watch(() => this.#copy)
    if (config.report_agent) {
      this.#heartbeat = new AgentHeartbeat(
        this.#client,
        heartbeatOptions(config, { clock, logger, random, ...(metrics && { metrics }) }),
      )
    }
  }

  async start(): Promise<void> {
    this.#heartbeat?.start()
    this.#client.start()
  }

  async close(): Promise<void> {
    await this.#heartbeat?.close()
    await this.#client.close()
    this.#listeners.clear()
  }

  readiness(): Readiness {
    const { state } = this.#client
    const copy = this.#copy
    if (copy === undefined) {
      const why = state.kind === 'connecting' ? state.lastProblem : 'it is being read'
      return { ready: false, detail: `no complete copy of the southbound database yet: ${why}` }
    }
    const held = `${copy.portCount} ports on ${copy.networkCount} networks`
    const { isConfirmed, silence } = this.#standing()
    if (isConfirmed) {
      return { ready: true, detail: `${held}, kept in step by ${liveEndpoint(state)}` }
    }
    const seconds = Math.round(silence / 1_000)
    const isUsable = silence <= this.#options.config.max_disconnected
    const verdict = isUsable ? 'still used' : 'too old to be used'
    const detail = `${held}, not confirmed for ${seconds} s and ${verdict}: ${this.#whyUnconfirmed()}`
    return { ready: isUsable, detail }
  }

  /** Whether the copy is complete and a server keeps it in step at this moment. */
  get isInStep(): boolean {
    return this.#copy !== undefined && this.#standing().isConfirmed
  }

  interfacesOfRouter(routerId: RouterId, asked: Asked): InterfacesAnswer {
    const { copy, asOf, isConfirmed } = this.#usableCopy()
    const interfaces = copy.interfacesOfRouter(routerId)
    if (!isConfirmed && asked.freshness === 'fresh' && interfaces.length === 0) {
      throw this.#unconfirmed()
    }
    return { interfaces, asOf }
  }

  findPorts(query: PortQuery, asked: Asked): PortsAnswer {
    const { copy, asOf, isConfirmed } = this.#usableCopy()
    const ports = copy.find(query)
    if (!isConfirmed && asked.freshness === 'fresh' && !isSettled(query, ports)) {
      throw this.#unconfirmed()
    }
    return { ports, asOf }
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  allPorts(): Iterable<Port> {
    return this.#copy?.allPorts() ?? []
  }

  /** Takes in a complete copy beside the one in use. Called by the client. */
  startCopy(): CopyBuilder {
    const copy = new SouthboundCopy()
    let rows = 0
    return {
      add(change) {
        rows += 1
        copy.apply(change)
      },
      finish: () => {
        this.#copy = copy
        this.#copiedAt = this.#options.clock.now()
        this.#options.metrics?.rowsChanged(rows)
        this.#tell({ kind: 'all', why: 'the southbound database was copied whole' })
      },
    }
  }

  /** Takes in what changed. Called by the client. */
  apply(changes: readonly RowChange[]): void {
    if (this.#copy === undefined) return
    this.#options.metrics?.rowsChanged(changes.length)
    this.#tellTouched(this.#copy.applyAll(changes))
  }

  #usableCopy(): { copy: SouthboundCopy; asOf: MonotonicMilliseconds; isConfirmed: boolean } {
    const copy = this.#copy
    if (copy === undefined) {
      this.#options.metrics?.refused()
      throw new MetadataError(
        'directory_not_ready',
        'Cannot look up ports: the southbound database was not seen whole yet',
      )
    }
    const { isConfirmed, silence } = this.#standing()
    if (silence > this.#options.config.max_disconnected) throw this.#unconfirmed()
    return { copy, asOf: this.#options.clock.now() - silence, isConfirmed }
  }

  /** How long nobody has confirmed the copy, and whether a server keeps it in step at this moment. */
  #standing(): { readonly isConfirmed: boolean; readonly silence: Milliseconds } {
    const { clock, config } = this.#options
    const { confirmedAt, state, isBehind } = this.#client
    const silence = clock.now() - Math.max(confirmedAt ?? -Infinity, this.#copiedAt)
    // A quiet server answers an echo every interval; a little longer is the way there and back.
    const isHeard = state.kind === 'live' && silence <= 2 * config.ovsdb_probe_interval
    return isHeard && !isBehind
      ? { isConfirmed: true, silence: 0 }
      : { isConfirmed: false, silence }
  }

  #whyUnconfirmed(): string {
    const { state, isBehind } = this.#client
    if (state.kind === 'connecting') return state.lastProblem
    return isBehind ? 'a long update is being taken in' : 'the server is silent'
  }

  #unconfirmed(): MetadataError {
    this.#options.metrics?.refused()
    const why = this.#whyUnconfirmed()
    return new MetadataError(
      'directory_unavailable',
      `Cannot look up ports: the copy of the southbound database is not confirmed: ${why}`,
      { details: { silence: Math.round(this.#standing().silence) } },
    )
  }

  #noteState(state: OvsdbState): void {
    if (state.kind === 'live') this.#options.metrics?.connected(state.copy)
    else this.#options.metrics?.disconnected()
  }

  #tellTouched({ networkIds, routerIds }: Touched): void {
    const count = networkIds.size + routerIds.size
    if (count > mostChanges) {
      this.#tell({ kind: 'all', why: `${count} networks and routers changed at once` })
      return
    }
    for (const routerId of routerIds) this.#tell({ kind: 'router', routerId })
    for (const networkId of networkIds) this.#tell({ kind: 'network', networkId })
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

function liveEndpoint(state: OvsdbState): string {
  return state.kind === 'live' ? state.endpoint : 'nobody'
}

/**
 * Whether an old copy can be believed: one port, and the MAC that asks is its own. An unknown MAC may be a new port that
 * has the address now, several ports may be one by now, and nothing at all may be a port that came since.
 */
function isSettled({ macAddress }: PortQuery, ports: readonly Port[]): boolean {
  const [only] = ports
  return ports.length === 1 && (macAddress === undefined || only?.macAddress === macAddress)
}
