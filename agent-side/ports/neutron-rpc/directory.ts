import type { Clock, Milliseconds } from '../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import type { NetworkId, PortId, RouterId } from '../../../lib/identity/ids.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import { ChangeListeners } from '../directory/changes.ts'
import type { DirectoryParts } from '../directory/directory-parts.ts'
import type { NeutronPort } from '../directory/neutron-port.ts'
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
import { Bus, type BusOptions, type NeutronBus } from './bus/bus.ts'
import type { NeutronRpcConfig } from './config.ts'
import { NeutronRpcMetrics } from './metrics.ts'
import { PartFetcher } from './copy/part-fetcher.ts'
import { PortAnswers } from './copy/port-answers.ts'
import type { Cover } from './copy/cover.ts'
import { PortCopy, type CopyPart } from './copy/port-copy.ts'
import { PushTrust } from './copy/push-trust.ts'
import { PushWatch } from './copy/push-watch.ts'
import { ServerProbe } from './copy/server-probe.ts'
import { StateReport } from './bus/state-report.ts'
import { Backoff } from '../../../lib/runtime/backoff.ts'
import type { PortEvent } from './bus/versioned-object.ts'

/** What the directory works with, beside its configuration. */
export interface NeutronRpcParts extends DirectoryParts {
  /** How Neutron is reached. @default over RabbitMQ */
  readonly bus?: (options: BusOptions) => NeutronBus
}

/** A push is sent once the change is in the database, on a busy server this much later. */
const pushPatience: Milliseconds = 20_000
/** All ports are queried again when that failed. */
const firstRefetch: Milliseconds = 30_000
const longestRefetch: Milliseconds = 60_000

const pushText = {
  off: 'pushes are turned off, answers are queried',
  unproven: 'pushes are not proven yet, answers are queried',
  live: 'pushes keep the copy right',
  unsupported: 'the servers push no ports, answers are queried',
  distrusted: 'pushes were lost, answers are queried',
} as const

/**
 * Ports as Neutron's servers report them over RabbitMQ. Whole networks and routers are fetched when they are first queried
 * and kept right by pushes; see README.md for how fresh that is, and what happens when the broker is away.
 */
export class NeutronRpcDirectory implements PortDirectory {
  readonly kind = 'neutron-rpc'
  /** Only where everything is held. */
  readonly allPorts?: () => Iterable<Port>
  readonly #config: NeutronRpcConfig
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #changes: ChangeListeners
  readonly #metrics: NeutronRpcMetrics
  readonly #bus: NeutronBus
  readonly #copy: PortCopy
  readonly #trust: PushTrust
  readonly #watch: PushWatch
  readonly #fetcher: PartFetcher
  readonly #probe: ServerProbe
  readonly #answers: PortAnswers
  readonly #report: StateReport | undefined
  #hasBeenUp = false
  #isClosed = false

  /** @throws SyntaxError when the transport URL cannot be read */
  constructor(config: NeutronRpcConfig, parts: NeutronRpcParts) {
    const { clock, logger, registry, bus = (options) => new Bus(options) } = parts
    this.#config = config
    this.#clock = clock
    this.#logger = logger
    this.#changes = new ChangeListeners(this.kind, logger)
    this.#metrics = new NeutronRpcMetrics(registry)
    this.#copy = new PortCopy({ clock, maxPorts: config.heldPorts })
    this.#bus = bus({
      config,
      clock,
      logger,
      metrics: this.#metrics,
      events: {
        up: () => this.#up(),
        down: (why, silence) => this.#down(why, silence),
        push: (events) => this.#pushed(events),
        unreadablePush: (why) => this.#distrust('a push could not be read', { cause: why }),
      },
    })
    this.#trust = new PushTrust({
      isWanted: config.push,
      distrustFor: config.pushDistrust,
      clock,
      forgiven: () => this.#probe.hurry(),
    })
    this.#watch = new PushWatch({
      clock,
      patience: pushPatience,
      most: 100,
      lost: (portId) => this.#lost(portId),
    })
    this.#fetcher = new PartFetcher({
      getPorts: (filters, timeout) => this.#getPorts(filters, timeout),
      timeout: config.timeoutResponse,
      partsPerQuery: config.partsPerQuery,
      concurrency: config.concurrency,
      queue: config.queue,
      left: () => this.#copy.left(this.#trust.era),
      abandoned: (cover) => this.#copy.abandon(cover),
      fetched: (parts, ports, cover) => this.#fetched(parts, ports, cover),
    })
    this.#probe = new ServerProbe({
      bus: this.#bus,
      trust: this.#trust,
      clock,
      logger,
      timeout: config.timeoutQuery,
      sample: () => this.#sample(),
      rebound: () => this.#suspect('pushes of another version are received from now on'),
      settled: () => this.#show(),
    })
    this.#answers = new PortAnswers({
      config,
      clock,
      logger,
      copy: this.#copy,
      trust: this.#trust,
      fetcher: this.#fetcher,
      probe: this.#probe,
      metrics: this.#metrics,
      noBroker: () => this.#noBroker(),
    })
    this.#metrics.watch(this, () => ({ ports: this.#copy.size, networks: this.#copy.networks }))
    if (config.reportInterval > 0) {
      this.#report = new StateReport({
        host: config.host,
        interval: config.reportInterval,
        configurations: config.reportedConfigurations,
        sender: this.#bus.rpc,
        clock,
        logger,
      })
    }
    if (config.copy === 'all') this.allPorts = () => this.#copy.all()
  }

  start(): Promise<void> {
    this.#bus.start()
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#watch.clear()
    this.#probe.close()
    this.#trust.close()
    await this.#report?.close()
    await this.#bus.close()
    this.#changes.clear()
  }

  readiness(): Readiness {
    if (!this.#trust.isUp) {
      return { ready: false, detail: `no broker: ${this.#bus.lastProblem}` }
    }
    if (!this.#probe.isServerSeen) {
      const why = this.#probe.lastProblem
      return { ready: false, detail: `connected, but no Neutron server answers: ${why}` }
    }
    const held = `${this.#copy.size} ports of ${this.#copy.parts} networks and routers held`
    const { state } = this.#trust
    const what = pushText[state]
    const trouble = state === 'distrusted' ? ({ names: 'some', what } as const) : undefined
    return { ready: true, detail: `${what}; ${held}`, trouble }
  }

  /** Whether there is a broker that pushes could come from, and a server that answers. */
  isConfirmed(): boolean {
    return this.#trust.isUp && this.#probe.isServerSeen
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    return this.#changes.subscribe(listener)
  }

  interfacesOfRouter(
    routerId: RouterId,
    options: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer> {
    return this.#answers.interfacesOfRouter(routerId, options)
  }

  findPorts(query: PortQuery, options: QueryOptions): PortsAnswer | Promise<PortsAnswer> {
    return this.#answers.findPorts(query, options)
  }

  portsOfNetwork(networkId: NetworkId, options: QueryOptions): Promise<PortsAnswer | undefined> {
    return this.#answers.portsOfNetwork(networkId, options)
  }

  #noBroker(): MetadataError {
    const code = this.#hasBeenUp ? 'directory_unavailable' : 'directory_not_ready'
    const details = { cause: this.#bus.lastProblem }
    return new MetadataError(code, 'Cannot query Neutron: there is no broker', { details })
  }

  async #getPorts(
    filters: Readonly<Record<string, unknown>>,
    limit: Milliseconds,
  ): Promise<unknown> {
    try {
      const reply = await this.#bus.getPorts(filters, limit)
      this.#probe.answered()
      return reply
    } catch (thrown) {
      this.#probe.failed(thrown)
      throw thrown
    }
  }

  #fetched(parts: readonly CopyPart[], ports: readonly NeutronPort[], cover: Cover): void {
    if (this.#isClosed) return
    const { changes, changedPorts } = this.#copy.merge(parts, ports, cover)
    for (const part of parts) this.#dropIfLarge(part, ports)
    if (this.#trust.isLive) for (const portId of changedPorts) this.#watch.expect(portId)
    this.#reportAll(changes)
    this.#show()
    this.#probe.hurry()
  }

  #dropIfLarge(part: CopyPart, ports: readonly NeutronPort[]): void {
    if (part.kind === 'all' && ports.length > this.#config.heldPorts) {
      this.#logger.warn({ ports: ports.length }, 'The cloud has more ports than may be held')
      this.#copy.drop(part)
    }
    if (part.kind !== 'network') return
    const { networkId } = part
    const count = ports.filter(({ port }) => port.networkId === networkId).length
    const isLarge = count > this.#config.networkPorts
    if (isLarge) this.#copy.drop(part)
    this.#answers.setLarge(networkId, isLarge)
  }

  #pushed(events: readonly PortEvent[]): void {
    // Who pushes in a version that is received is proof enough.
    this.#trust.proven()
    for (const event of events) {
      const portId = event.kind === 'deleted' ? event.portId : event.held.port.portId
      this.#watch.saw(portId)
      const changes = this.#copy.apply(event)
      this.#reportAll(changes)
      // It may have been on any of the networks that are queried address by address.
      if (event.kind === 'deleted' && changes.length === 0) {
        for (const networkId of this.#answers.largeNetworks) {
          this.#reportAll([{ kind: 'network', networkId }])
        }
      }
    }
    this.#show()
  }

  #lost(portId: PortId): void {
    if (!this.#trust.isLive) return
    this.#metrics.lostPush()
    this.#distrust('a change was not pushed', { portId })
  }

  #distrust(why: string, details: Readonly<Record<string, unknown>>): void {
    if (this.#trust.state === 'distrusted' || this.#trust.state === 'off') return
    this.#logger.warn({ why, ...details }, 'Pushes of ports are not relied on for a while')
    this.#trust.distrust()
    this.#reportAll([{ kind: 'all', why }])
    this.#show()
  }

  /** Something may have been missed: nothing that was held until now counts as right any more. */
  #suspect(why: string): void {
    this.#trust.restart()
    this.#reportAll([{ kind: 'all', why }])
  }

  #up(): void {
    const isAgain = this.#hasBeenUp
    this.#hasBeenUp = true
    this.#trust.begin()
    this.#copy.beginEra()
    if (isAgain) this.#reportAll([{ kind: 'all', why: 'the broker was away' }])
    this.#probe.begin()
    if (isAgain) this.#report?.hurry()
    else this.#report?.start()
    if (this.#config.copy === 'all') this.#fetchAll()
    this.#show()
  }

  #down(why: string, silence: Milliseconds): void {
    this.#trust.end(silence)
    this.#watch.clear()
    this.#probe.end()
    this.#logger.warn({ cause: why }, 'The connection to Neutron is lost')
    // What was remembered without limit of time, since changes would be reported, has one again.
    this.#reportAll([{ kind: 'all', why: 'the broker is away' }])
    this.#show()
  }

  #fetchAll(backoff = new Backoff(firstRefetch, longestRefetch)): void {
    const { era } = this.#trust
    this.#fetcher.fetch({ kind: 'all' }, { leftAfter: Infinity }).catch((thrown: unknown) => {
      this.#logger.warn({ cause: causeText(thrown) }, 'Ports cannot be fetched as a whole')
      this.#clock.schedule(backoff.next(), () => {
        const isStillWanted = !this.#isClosed && this.#trust.isUp && this.#trust.era === era
        if (isStillWanted) this.#fetchAll(backoff)
      })
    })
  }

  #sample(): PortId | undefined {
    for (const port of this.#copy.all()) return port.portId
    return undefined
  }

  #reportAll(changes: readonly DirectoryChange[]): void {
    for (const change of changes) this.#changes.report(change)
  }

  #show(): void {
    this.#metrics.pushesTrusted(this.#trust.isLive)
  }
}
