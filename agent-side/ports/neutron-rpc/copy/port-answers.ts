import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import { causeText, MetadataError } from '../../../../lib/runtime/errors.ts'
import type { NetworkId, RouterId } from '../../../../lib/identity/ids.ts'
import type { Logger } from '../../../../lib/runtime/log.ts'
import type { AnswerOrigin } from '../../directory/metrics.ts'
import type {
  QueryOptions,
  InterfacesAnswer,
  Port,
  PortQuery,
  PortsAnswer,
} from '../../directory/port-directory.ts'
import type { NeutronRpcConfig } from '../config.ts'
import type { NeutronRpcMetrics } from '../metrics.ts'
import type { PartFetcher } from './part-fetcher.ts'
import type { CopyPart, PortCopy } from './port-copy.ts'
import type { PushTrust } from './push-trust.ts'
import type { ServerProbe } from './server-probe.ts'
import { within } from './within.ts'

/** What {@link PortAnswers} decides by. */
export interface PortAnswersOptions {
  readonly config: NeutronRpcConfig
  readonly clock: Clock
  readonly logger: Logger
  readonly copy: PortCopy
  readonly trust: PushTrust
  readonly fetcher: PartFetcher
  readonly probe: ServerProbe
  readonly metrics: Pick<NeutronRpcMetrics, 'answered'>
  /** The error for queries while there is no broker. */
  readonly noBroker: () => MetadataError
}

type Dates = Pick<PortsAnswer, 'asOf' | 'until'>

const mostLargeNetworks: Count = 1_000
/** After a failed refresh no refresh is tried for so long. */
const refreshPause: Milliseconds = 10_000

/** Answers from the copy where that is good enough for the caller, and brings what is missing. */
export class PortAnswers {
  readonly #options: PortAnswersOptions
  readonly #large = new Set<NetworkId>()
  #noRefreshUntil: MonotonicMilliseconds = -Infinity

  constructor(options: PortAnswersOptions) {
    this.#options = options
  }

  /** Networks that are too large to hold. */
  get largeNetworks(): ReadonlySet<NetworkId> {
    return this.#large
  }

  setLarge(networkId: NetworkId, isLarge: boolean): void {
    this.#large.delete(networkId)
    if (!isLarge) return
    if (this.#large.size >= mostLargeNetworks) this.#large.clear()
    this.#large.add(networkId)
  }

  interfacesOfRouter(
    routerId: RouterId,
    options: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer> {
    const { copy } = this.#options
    const part: CopyPart = { kind: 'router', routerId }
    const asOf = this.#asOf(part, options)
    if (asOf !== undefined) {
      this.#options.metrics.answered('copy')
      return { interfaces: copy.interfacesOf(routerId), ...this.#dated([part], asOf) }
    }
    const put = this.#options.clock.now()
    return this.#brought([part], options).then((from) => {
      const dates = this.#dated([part], this.#heldAsOf([part], put))
      this.#options.metrics.answered(from)
      return { interfaces: copy.interfacesOf(routerId), ...dates }
    })
  }

  findPorts(query: PortQuery, options: QueryOptions): PortsAnswer | Promise<PortsAnswer> {
    const { copy, clock } = this.#options
    const { networkIds, fixedIp, macAddress } = query
    if (fixedIp === undefined && macAddress === undefined) return { ports: [], asOf: clock.now() }
    let oldest = clock.now()
    const ports: Port[] = []
    for (const networkId of networkIds) {
      const asOf = this.#asOf({ kind: 'network', networkId }, options)
      if (asOf === undefined) return this.#findSlowly(query, options)
      oldest = Math.min(oldest, asOf)
      ports.push(...copy.find(networkId, query))
    }
    const parts = networkIds.map((networkId) => ({ kind: 'network', networkId }) as const)
    this.#options.metrics.answered('copy')
    return { ports: unique(ports), ...this.#dated(parts, oldest) }
  }

  /** @returns `undefined` for a network that is too large to hold */
  async portsOfNetwork(
    networkId: NetworkId,
    options: QueryOptions,
  ): Promise<PortsAnswer | undefined> {
    const { copy, clock } = this.#options
    const part: CopyPart = { kind: 'network', networkId }
    const put = clock.now()
    const isMissing = !this.#large.has(networkId) && this.#asOf(part, options) === undefined
    if (isMissing) await this.#brought([part], options)
    // Only the fetch may have shown that it is large.
    if (this.#large.has(networkId)) return undefined
    return { ports: copy.ofNetwork(networkId), asOf: this.#heldAsOf([part], put) }
  }

  async #findSlowly(query: PortQuery, options: QueryOptions): Promise<PortsAnswer> {
    const { copy, clock, fetcher } = this.#options
    const put = clock.now()
    const networkIds = [...new Set(query.networkIds)]
    const missing = networkIds
      .filter((networkId) => !this.#large.has(networkId))
      .map((networkId) => ({ kind: 'network', networkId }) as const)
      .filter((part) => this.#asOf(part, options) === undefined)
    const from = missing.length > 0 ? await this.#brought(missing, options) : 'source'
    // Only the fetch may have shown that a network is large.
    const held = networkIds.filter((networkId) => !this.#large.has(networkId))
    const large = networkIds.filter((networkId) => this.#large.has(networkId))
    const queries = large.map((networkId) => fetcher.query(networkId, query))
    const answers = large.length === 0 ? [] : await this.#waited(Promise.all(queries), options)
    const parts = held.map((networkId) => ({ kind: 'network', networkId }) as const)
    const asOf = this.#heldAsOf(parts, put)
    this.#options.metrics.answered(from)
    const ports = [...held.flatMap((networkId) => copy.find(networkId, query)), ...answers.flat()]
    return { ports: unique(ports), ...this.#dated(parts, asOf) }
  }

  /** Changes to what an answer rests on are reported while pushes keep all of it right; otherwise it ends with its age. */
  #dated(parts: readonly CopyPart[], asOf: MonotonicMilliseconds): Dates {
    const { copy, trust, config } = this.#options
    const isKeptRight = trust.isLive && parts.every((part) => copy.cover(part)?.era === trust.era)
    return isKeptRight ? { asOf } : { asOf, until: asOf + config.maxAge }
  }

  /** As of when the copy of a part is right, if that is good enough for the caller. */
  #asOf(part: CopyPart, options: QueryOptions): MonotonicMilliseconds | undefined {
    const { copy, trust, clock, config } = this.#options
    const cover = copy.cover(part)
    // What was fetched before the broker was away, or before pushes were lost, must be fetched again.
    if (cover === undefined || !trust.isUp || cover.era !== trust.era) return undefined
    const age = clock.now() - cover.fetchedAt
    const isFresh = options.freshness === 'fresh'
    if (!trust.isLive) {
      return isFresh || age >= config.maxAge ? undefined : cover.fetchedAt
    }
    if (age > (isFresh ? config.verifyInterval : config.copyMaxAge)) return undefined
    if (age > config.resyncInterval) this.#refresh(part)
    return clock.now()
  }

  /** Fetches a part while its copy is still in use. */
  #refresh(part: CopyPart): void {
    const { clock, fetcher, logger } = this.#options
    if (clock.now() < this.#noRefreshUntil) return
    fetcher.fetch(part, { leftAfter: -Infinity }).catch((thrown: unknown) => {
      this.#noRefreshUntil = clock.now() + refreshPause
      logger.debug({ cause: causeText(thrown) }, 'Copy cannot be fetched anew')
    })
  }

  /** Fetches parts. Where that fails, and to whom an older answer will do, what is held may still serve. @returns which of the two */
  async #brought(parts: readonly CopyPart[], options: QueryOptions): Promise<AnswerOrigin> {
    const { trust, fetcher, probe, noBroker, clock, config } = this.#options
    const mayBeOld = options.freshness === 'cached'
    try {
      if (!trust.isUp) throw noBroker()
      const oldest = mayBeOld ? clock.now() - config.maxAge : Infinity
      // What is pushed meanwhile is put into the answer.
      const leftAfter = trust.isLive ? -Infinity : oldest
      const fetches = Promise.all(parts.map((part) => fetcher.fetch(part, { leftAfter })))
      if (mayBeOld && probe.isServerMissing && this.#isUsable(parts)) {
        // The guest need not wait for what most likely does not come.
        fetches.catch(() => undefined)
        return 'stale_copy'
      }
      await this.#waited(fetches, options)
      return 'source'
    } catch (thrown) {
      options.signal.throwIfAborted()
      if (!mayBeOld || !this.#isUsable(parts)) throw thrown
      return 'stale_copy'
    }
  }

  /**
   * As of when the copies of all these parts are right, at the latest when the query was put.
   * @throws MetadataError `directory_unavailable` when one is not held any more
   */
  #heldAsOf(parts: readonly CopyPart[], put: MonotonicMilliseconds): MonotonicMilliseconds {
    const { copy, trust } = this.#options
    let oldest = put
    for (const part of parts) {
      const cover = copy.cover(part)
      if (cover === undefined) {
        const message = 'Cannot answer: the copy of the network or router was dropped meanwhile'
        throw new MetadataError('directory_unavailable', message, { details: { ...part } })
      }
      oldest = Math.min(oldest, trust.knownUntil(cover))
    }
    return oldest
  }

  #isUsable(parts: readonly CopyPart[]): boolean {
    const { clock, copy, trust, config } = this.#options
    return parts.every((part) => {
      const cover = copy.cover(part)
      return cover !== undefined && clock.now() - trust.knownUntil(cover) <= config.maxStale
    })
  }

  #waited<Value>(work: Promise<Value>, options: QueryOptions): Promise<Value> {
    const { clock, config } = this.#options
    return within(work, { clock, limit: config.timeoutQuery, signal: options.signal })
  }
}

function unique(ports: readonly Port[]): readonly Port[] {
  return [...new Map(ports.map((port) => [port.portId, port])).values()]
}
