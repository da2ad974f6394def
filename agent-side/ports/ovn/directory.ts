import type {
  Cancel,
  Clock,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../lib/runtime/errors.ts'
import type { RouterId } from '../../../lib/identity/ids.ts'
import type { Scope, ScopeText } from '../../../lib/identity/scope.ts'
import type { OvsdbClient, OvsdbState } from '../../../lib/ovsdb/client.ts'
import type { CopyBuilder, MonitorConsumer } from '../../../lib/ovsdb/monitor.ts'
import type { RowChange } from '../../../lib/ovsdb/table-updates.ts'
import { ChangeListeners } from '../directory/changes.ts'
import type {
  QueryOptions,
  DirectoryChange,
  InterfacesAnswer,
  Port,
  PortDirectory,
  PortQuery,
  PortsAnswer,
  Readiness,
} from '../directory/port-directory.ts'
import { AgentHeartbeat } from './agent-heartbeat.ts'
import { isSettled } from './certain.ts'
import { ChassisBindings } from './chassis-bindings.ts'
import { heartbeatOptions } from './heartbeat-settings.ts'
import type { OvnConfig } from './config.ts'
import { Joints } from './joints.ts'
import { OvnMetrics } from './metrics.ts'
import { southboundTables } from './schema.ts'
import { ServedSelection } from './served-selection.ts'
import { southboundClient, type OvnParts } from './southbound-client.ts'
import { SouthboundCopy, type Touched } from './southbound-copy.ts'

/** A timer that fires early by less than this finds nothing to do yet. */
const soonest: Milliseconds = 1

/** How far the copy can be trusted at this moment. */
interface Standing {
  /** A server keeps it in step. */
  readonly isConfirmed: boolean
  /** It may name instances. */
  readonly isUsable: boolean
  /** Time since it was known to be right; `Infinity` before the first time. */
  readonly age: Milliseconds
}

/** Beyond this many, forgetting everything is cheaper than forgetting one by one. */
const mostChanges = 2_000

/**
 * Answers from an own copy of OVN's southbound database, which the server keeps in step. No query is sent for a
 * request: an answer comes at once, and a change is in it before the next one.
 *
 * While no server confirms the copy it is used for a while longer, but only for what an old copy can be right about: see
 * README.md.
 */
export class OvnDirectory implements PortDirectory, MonitorConsumer {
  readonly kind = 'ovn'
  readonly #config: OvnConfig
  readonly #clock: Clock
  readonly #changes: ChangeListeners
  readonly #metrics: OvnMetrics
  readonly #client: OvsdbClient
  readonly #heartbeat: AgentHeartbeat | undefined
  readonly #selection: ServedSelection | undefined
  readonly #bindings: ChassisBindings | undefined
  #copy: SouthboundCopy | undefined
  /** Ends the use of the copy: caches drop their answers from it then. */
  #cancelExpiry: Cancel = () => undefined
  /** Whether the copy could be used when that was looked at last. */
  #isUsed = false
  #isClosed = false

  constructor(config: OvnConfig, parts: OvnParts) {
    const { clock, logger, registry, random = Math.random, grantsByHost = false } = parts
    this.#config = config
    this.#clock = clock
    this.#changes = new ChangeListeners(this.kind, logger)
    this.#metrics = new OvnMetrics(registry)
    this.#client = southboundClient(config, parts)
    const isSelective = (config.copy ?? (parts.isCentral === true ? 'all' : 'served')) === 'served'
    const monitor = this.#client.addMonitor({
      name: 'ports',
      database: 'OVN_Southbound',
      tables: southboundTables,
      consumer: this,
      isSelective,
    })
    const served = { clock, client: this.#client, longestUse: config.max_unconfirmed }
    if (isSelective) this.#selection = new ServedSelection(monitor, served)
    if (grantsByHost) this.#bindings = new ChassisBindings(this.#client)
    this.#client.onState((state) => this.#noteState(state))
    this.#metrics.watch(this, () => ({
      ports: this.#copy?.portCount ?? 0,
      networks: this.#copy?.networkCount ?? 0,
    }))
    this.#metrics.watchSkipped(() => this.#copy?.noPorts ?? [])
    this.#metrics.watchScopes(() => this.#selection?.counts)
    if (config.report_agent) {
      this.#heartbeat = new AgentHeartbeat(
        this.#client,
        heartbeatOptions(config, { clock, logger, random, metrics: this.#metrics }),
      )
    }
  }

  async start(): Promise<void> {
    this.#heartbeat?.start()
    this.#selection?.start()
    this.#client.start()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelExpiry()
    this.#selection?.close()
    await this.#heartbeat?.close()
    await this.#client.close()
    this.#changes.clear()
  }

  readiness(): Readiness {
    const { state } = this.#client
    const copy = this.#copy
    if (copy === undefined) {
      const why = state.kind === 'connecting' ? state.lastProblem : 'it is being read'
      return { ready: false, detail: `no complete copy of the southbound database yet: ${why}` }
    }
    const missing = this.#selection?.counts.missing ?? 0
    const held = `${copy.portCount} ports on ${copy.networkCount} networks${missing > 0 ? `, ${missing} scopes are being looked up` : ''}`
    const { isConfirmed, isUsable, age } = this.#standing()
    if (isConfirmed) {
      return {
        ready: true,
        detail: `${held}, kept in step by ${state.kind === 'live' ? state.endpoint : 'no server'}`,
      }
    }
    const verdict = isUsable ? 'still used' : 'guests get 503'
    const detail = `${held}, not confirmed for ${secondsText(age)} and ${verdict}: ${this.#whyUnconfirmed()}`
    const trouble = { names: isUsable ? 'some' : 'none', what: detail } as const
    return { ready: isUsable || age <= this.#config.max_disconnected, detail, trouble }
  }

  /** Whether the copy is complete and a server keeps it in step at this moment. */
  isConfirmed(): boolean {
    return this.#copy !== undefined && this.#standing().isConfirmed
  }

  /** The whole list of scopes that the supervisors of this host report. */
  serve(scopes: ReadonlySet<ScopeText>): void {
    this.#selection?.report(scopes)
  }

  /** OVN serves metadata by network: no host gets a router. */
  isOnHost(host: string, scope: Scope): boolean {
    const { copy, isConfirmed } = this.#usableCopy()
    if (scope.kind !== 'network' || this.#bindings === undefined) return false
    const isBound = this.#bindings.isBound(host, copy.datapathsNamed(scope.networkId))
    if (!isBound && !isConfirmed) throw this.#unconfirmed()
    return isBound
  }

  interfacesOfRouter(
    routerId: RouterId,
    options: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer> {
    const { copy, asOf, isConfirmed } = this.#usableCopy()
    if (this.#selection?.hasRouter(routerId) === false) {
      return this.#selected(options).then(() => this.interfacesOfRouter(routerId, options))
    }
    const interfaces = copy.interfacesOfRouter(routerId)
    if (!isConfirmed && options.freshness === 'fresh' && interfaces.length === 0) {
      throw this.#unconfirmed()
    }
    this.#metrics.answered(isConfirmed ? 'copy' : 'stale_copy')
    return { interfaces, asOf }
  }

  /** @param began when the query came, for one that has waited */
  findPorts(
    query: PortQuery,
    options: QueryOptions,
    began = this.#clock.now(),
  ): PortsAnswer | Promise<PortsAnswer> {
    const { copy, asOf, isConfirmed } = this.#usableCopy()
    if (this.#selection?.hasNetworks(query.networkIds) === false) {
      const seen = isConfirmed && this.#selection.seenFirst(query, options.freshness, began)
      if (!seen) return this.#selected(options).then(() => this.findPorts(query, options, began))
      this.#metrics.answered('source')
      return seen
    }
    const ports = copy.find(query)
    if (!isConfirmed && options.freshness === 'fresh' && !isSettled(query, ports)) {
      throw this.#unconfirmed()
    }
    this.#metrics.answered(isConfirmed ? 'copy' : 'stale_copy')
    return { ports, asOf }
  }

  /** Waits until other rows are in the copy. Whoever queries limits the time. */
  async #selected({ signal }: QueryOptions): Promise<void> {
    if (this.#client.state.kind !== 'live') throw this.#unconfirmed()
    await this.#selection?.changed(signal)
    signal.throwIfAborted()
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    return this.#changes.subscribe(listener)
  }

  allPorts(): Iterable<Port> {
    return this.#copy?.allPorts() ?? []
  }

  /** Takes in a complete copy beside the one in use. Called by the client. */
  startCopy(): CopyBuilder {
    const copy = new SouthboundCopy(this.#selection && new Joints())
    return {
      add: (change) => {
        // Changes of rows that have just come may come with them.
        if (this.#selection !== undefined) copy.applyAll([change])
        else copy.apply(change)
      },
      finish: () => {
        this.#copy = copy
        this.#selection?.note(copy)
        this.#changes.report({ kind: 'all', why: 'the southbound database was copied whole' })
      },
    }
  }

  /** Takes in what changed. Called by the client. */
  apply(changes: readonly RowChange[]): void {
    if (this.#copy === undefined) return
    const deleted = changes.filter(({ kind }) => kind === 'delete').length
    this.#metrics.changed('deleted', deleted)
    this.#metrics.changed('updated', changes.length - deleted)
    const touched = this.#copy.applyAll(changes)
    this.#selection?.note(this.#copy)
    this.#reportTouched(touched)
  }

  /** Called by the client. */
  selected(): void {
    this.#selection?.noteSelected()
  }

  #usableCopy(): { copy: SouthboundCopy; asOf: MonotonicMilliseconds; isConfirmed: boolean } {
    const copy = this.#copy
    if (copy === undefined) {
      this.#metrics.refused()
      throw new MetadataError(
        'directory_not_ready',
        'Cannot look up ports: the southbound database was not seen whole yet',
      )
    }
    const { isConfirmed, isUsable, age } = this.#standing()
    if (!isUsable) throw this.#unconfirmed()
    return { copy, asOf: this.#clock.now() - (isConfirmed ? 0 : age), isConfirmed }
  }

  /**
   * How old the copy may be: the time since a server was sent the echo that confirmed it last. A quiet server answers
   * one every interval; two are the way there and back of one that is busy.
   */
  #standing(): Standing {
    const { confirmedAt = -Infinity, state, isBehind } = this.#client
    const age = this.#clock.now() - confirmedAt
    const isLive = state.kind === 'live'
    const isConfirmed = isLive && !isBehind && age <= 2 * this.#config.ovsdb_probe_interval
    return { isConfirmed, isUsable: age <= this.#longestUse(), age }
  }

  #longestUse(): Milliseconds {
    const { max_unconfirmed: longest, ovsdb_probe_interval: interval } = this.#config
    return this.#client.state.kind === 'live' ? Math.max(longest, 2 * interval) : longest
  }

  /** Reports when the copy is too old to use, at that moment and not at the next query. */
  #watchAge(): void {
    this.#cancelExpiry()
    if (this.#isClosed) return
    const { isUsable, age } = this.#standing()
    if (!isUsable && this.#isUsed) {
      this.#changes.report({
        kind: 'all',
        why: 'no server confirms the copy of the southbound database',
      })
    }
    this.#isUsed = isUsable
    // Without a session nothing can confirm the copy, and the next session comes by here.
    if (!isUsable && this.#client.state.kind !== 'live') return
    const longest = this.#longestUse()
    // A copy that is confirmed again after this moment cannot be too old before that long.
    const span = Math.max(isUsable ? longest - age : longest, soonest)
    this.#cancelExpiry = this.#clock.schedule(span, () => this.#watchAge())
  }

  #whyUnconfirmed(): string {
    const { state, isBehind } = this.#client
    if (state.kind === 'connecting') return state.lastProblem
    return isBehind ? 'a long update is being taken in' : 'the server is silent'
  }

  #unconfirmed(): MetadataError {
    this.#metrics.refused()
    const why = this.#whyUnconfirmed()
    return new MetadataError(
      'directory_unavailable',
      `Cannot look up ports: the copy of the southbound database is not confirmed: ${why}`,
      { details: { age: secondsText(this.#standing().age) } },
    )
  }

  #noteState(state: OvsdbState): void {
    if (state.kind === 'live') this.#metrics.loaded(state.copy === 'full' ? 'loaded' : 'resumed')
    this.#selection?.wake()
    // Without a session the copy may be used for a shorter time.
    this.#watchAge()
  }

  #reportTouched({ networkIds, routerIds }: Touched): void {
    const count = networkIds.size + routerIds.size
    if (count > mostChanges) {
      this.#changes.report({ kind: 'all', why: `${count} networks and routers changed at once` })
      return
    }
    for (const routerId of routerIds) this.#changes.report({ kind: 'router', routerId })
    for (const networkId of networkIds) this.#changes.report({ kind: 'network', networkId })
  }
}

function secondsText(span: Milliseconds): string {
  return Number.isFinite(span) ? `${Math.round(span / 1_000)} s` : 'ever'
}
