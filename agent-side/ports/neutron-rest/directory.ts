import type {
  Cancel,
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { jittered } from '../../../lib/runtime/backoff.ts'
import { causeText, MetadataError } from '../../../lib/runtime/errors.ts'
import type { NetworkId, RouterId } from '../../../lib/identity/ids.ts'
import type { Logger } from '../../../lib/runtime/log.ts'
import { ChangeListeners } from '../directory/changes.ts'
import type { DirectoryParts } from '../directory/directory-parts.ts'
import type { AnswerOrigin } from '../directory/metrics.ts'
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
import { AddressLookups } from './lookups/address-lookups.ts'
import { NeutronClient } from './neutron/client.ts'
import type { NeutronRestConfig } from './config.ts'
import { Http, type Exchanges } from './http/http.ts'
import { Keystone, NoAuthentication, type Sessions } from './keystone/keystone.ts'
import { NeutronRestMetrics } from './metrics.ts'
import { NetworkCopies } from './lookups/network-copies.ts'
import { NetworkLookups, tooLarge } from './lookups/network-lookups.ts'
import { PortLists } from './lookups/port-lists.ts'
import type { DatedAnswer } from './lookups/query-batch.ts'
import { RouterCopies } from './lookups/router-copies.ts'
import { RouterLookups } from './lookups/router-lookups.ts'

/** What the directory works with, beside its configuration. */
export interface NeutronRestParts extends DirectoryParts {
  /** From 0 to 1; `Math.random` outside tests. */
  readonly random?: () => number
  /** Neutron is queried at least so often, without requests of guests as well. @default 2 min: many agents do that */
  readonly longestSilence?: Milliseconds
  /** @default connections made by the configuration */
  readonly http?: Exchanges
}

/** Up to this many ports a fresh answer refreshes the network's copy instead of one query for an address. */
const cheapNetwork: Count = 200
/** Waiting between attempts to reach Neutron when no guest sends requests; the hold-off comes on top. */
const probePause: Milliseconds = 1_000
const usualSilence: Milliseconds = 120_000

const limitedView =
  'the user seems to see the ports of its own projects only; give it a role that may read all'

/** The answers for several networks as one, as old as the oldest. */
function together(
  answers: readonly DatedAnswer<readonly Port[]>[],
  now: MonotonicMilliseconds,
  maxAge: Milliseconds,
): PortsAnswer {
  const asOf = answers.reduce((oldest, one) => Math.min(oldest, one.asOf), now)
  return { ports: answers.flatMap(({ answer }) => answer), asOf, until: asOf + maxAge }
}

/**
 * Ports from Neutron's REST API. It queries whole networks and keeps them for `maxAge`; see README.md for what it
 * queries, when, and what it does while Neutron is away.
 */
export class NeutronRestDirectory implements PortDirectory {
  readonly kind = 'neutron-rest'
  readonly #config: NeutronRestConfig
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #changes: ChangeListeners
  readonly #http: Exchanges
  readonly #client: NeutronClient
  readonly #metrics: NeutronRestMetrics
  readonly #routerCopies: RouterCopies
  readonly #networkCopies: NetworkCopies
  readonly #routers: RouterLookups
  readonly #networks: NetworkLookups
  readonly #addresses: AddressLookups
  readonly #closed = new AbortController()
  #probing: Promise<void> | undefined
  readonly #longestSilence: Milliseconds
  #cancelWatch: Cancel | undefined
  #answeredAt: MonotonicMilliseconds | undefined

  /** @throws Error when a certificate cannot be read; TypeError when there is neither authentication nor endpoint */
  constructor(config: NeutronRestConfig, parts: NeutronRestParts) {
    const { clock, logger, registry, random = Math.random, longestSilence = usualSilence } = parts
    this.#longestSilence = longestSilence
    this.#config = config
    this.#clock = clock
    this.#logger = logger
    this.#changes = new ChangeListeners(this.kind, logger)
    this.#metrics = new NeutronRestMetrics(registry)
    this.#http = parts.http ?? new Http({ ...config, connections: config.concurrency })
    this.#client = new NeutronClient({
      config,
      clock,
      random,
      http: this.#http,
      metrics: this.#metrics,
      sessions: this.#sessions(random),
    })
    this.#routerCopies = new RouterCopies(config.heldRouters, (routerId) => {
      this.#changes.report({ kind: 'router', routerId })
    })
    this.#networkCopies = new NetworkCopies({
      clock,
      heldPorts: config.heldPorts,
      changed: (networkId) => this.#changes.report({ kind: 'network', networkId }),
    })
    const { readsNetworkTags: readsTags = false } = parts
    const shared = {
      config,
      clock,
      lists: new PortLists({ client: this.#client, clock, readsTags }),
    }
    this.#routers = new RouterLookups({
      config,
      clock,
      client: this.#client,
      copies: this.#routerCopies,
    })
    this.#networks = new NetworkLookups({
      ...shared,
      copies: this.#networkCopies,
      routers: this.#routerCopies,
    })
    this.#addresses = new AddressLookups({ ...shared, copies: this.#networkCopies })
    this.#metrics.watch(this, () => this.#networkCopies.held)
  }

  async start(): Promise<void> {
    this.#probe()
    this.#watchSilence()
  }

  /** Without requests of guests nothing would show that Neutron is away. */
  #watchSilence(): void {
    if (this.#closed.signal.aborted) return
    this.#cancelWatch = this.#clock.schedule(jittered(this.#longestSilence), () => {
      const { last } = this.#client.circuitBreaker
      const isSilent =
        this.#clock.now() - (this.#answeredAt ?? -Infinity) >= this.#longestSilence / 2
      if (isSilent && last === undefined) this.#probe()
      this.#watchSilence()
    })
  }

  async close(): Promise<void> {
    this.#closed.abort(new MetadataError('directory_unavailable', 'The directory is closed'))
    this.#cancelWatch?.()
    this.#changes.clear()
    this.#http.close()
    await this.#probing
    this.#networkCopies.clear()
    this.#routerCopies.clear()
  }

  readiness(): Readiness {
    const { failures, last } = this.#client.circuitBreaker
    const trouble =
      last === undefined ? undefined : `${failures} failed in a row, last: ${causeText(last)}`
    if (this.#answeredAt === undefined) {
      return { ready: false, detail: trouble ?? 'Neutron has not answered yet' }
    }
    const age = this.#clock.now() - this.#answeredAt
    const answered = `Neutron answered ${Math.round(age / 1_000)} s ago`
    const limited = this.#routers.isViewLimited ? limitedView : undefined
    const detail = [answered, limited, trouble].filter((part) => part !== undefined).join('; ')
    // What is held may be used for so long; after that each query fails.
    if (last !== undefined && age > this.#config.maxStale) return { ready: false, detail }
    const what = trouble ?? limited
    return {
      ready: true,
      detail,
      trouble: what === undefined ? undefined : { names: 'some', what },
    }
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    return this.#changes.subscribe(listener)
  }

  interfacesOfRouter(
    routerId: RouterId,
    options: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer> {
    const { maxAge } = this.#config
    const until = (answer: InterfacesAnswer): InterfacesAnswer => ({
      ...answer,
      until: answer.asOf + maxAge,
    })
    const held = (age: Milliseconds): InterfacesAnswer | undefined =>
      options.freshness === 'cached'
        ? this.#routerCopies.get(routerId, this.#clock.now(), age)
        : undefined
    const own = held(maxAge)
    if (own !== undefined) return this.#from('copy', until(own))
    return this.#queried(
      options,
      (within) => this.#routers.query(routerId, within),
      (age) => held(age),
    ).then(until)
  }

  findPorts(query: PortQuery, options: QueryOptions): PortsAnswer | Promise<PortsAnswer> {
    const answers = [...new Set(query.networkIds)].map((networkId) =>
      this.#findOnNetwork(networkId, query, options),
    )
    const now = this.#clock.now()
    const held = answers.flatMap((one) => (one instanceof Promise ? [] : [one]))
    // At once where possible: most queries are answered from the copy, and a promise costs more than the look-up.
    return held.length === answers.length
      ? together(held, now, this.#config.maxAge)
      : Promise.all(answers.map(async (one) => one)).then((all) =>
          together(all, now, this.#config.maxAge),
        )
  }

  async portsOfNetwork(
    networkId: NetworkId,
    options: QueryOptions,
  ): Promise<PortsAnswer | undefined> {
    if (this.#networks.isTooLarge(networkId)) return undefined
    const signal = AbortSignal.any([options.signal, this.#closed.signal])
    const copy = await this.#networks.query(networkId, { ...options, signal })
    return copy === tooLarge ? undefined : { ports: copy.all(), asOf: copy.asOf }
  }

  #findOnNetwork(
    networkId: NetworkId,
    query: PortQuery,
    options: QueryOptions,
  ): DatedAnswer<readonly Port[]> | Promise<DatedAnswer<readonly Port[]>> {
    const held = (age: Milliseconds): DatedAnswer<readonly Port[]> | undefined => {
      const copy = options.freshness === 'cached' ? this.#networkCopies.get(networkId) : undefined
      if (copy === undefined || this.#clock.now() - copy.asOf >= age) return undefined
      return { answer: copy.find(query), asOf: copy.asOf }
    }
    if (query.fixedIp === undefined && query.macAddress === undefined) {
      return { answer: [], asOf: this.#clock.now() }
    }
    const own = held(this.#config.maxAge)
    if (own !== undefined) return this.#from('copy', own)
    return this.#queried(
      options,
      async (within) => {
        const known = this.#networkCopies.peek(networkId)?.size ?? 0
        const isCheap = within.freshness === 'cached' || known <= cheapNetwork
        if (isCheap && !this.#networks.isTooLarge(networkId)) {
          const copy = await this.#networks.query(networkId, within)
          if (copy !== tooLarge) return { answer: copy.find(query), asOf: copy.asOf }
        }
        return this.#addresses.query(networkId, query, within)
      },
      held,
    )
  }

  /** Queries Neutron, and when that fails falls back on what is held, up to the age for bad times. */
  async #queried<Answer>(
    options: QueryOptions,
    send: (options: QueryOptions) => Promise<Answer>,
    held: (age: Milliseconds) => Answer | undefined,
  ): Promise<Answer> {
    const signal = AbortSignal.any([options.signal, this.#closed.signal])
    try {
      const answer = await send({ ...options, signal })
      this.#answered()
      return this.#from('source', answer)
    } catch (cause) {
      if (!(cause instanceof MetadataError)) throw cause
      this.#probe()
      const stale = held(this.#config.maxStale)
      if (stale === undefined) throw cause
      return this.#from('stale_copy', stale)
    }
  }

  #from<Answer>(from: AnswerOrigin, answer: Answer): Answer {
    this.#metrics.answered(from)
    return answer
  }

  #answered(): void {
    if (this.#answeredAt === undefined) {
      this.#logger.info({ directory: this.kind }, 'Port directory is ready')
    }
    this.#answeredAt = this.#clock.now()
  }

  #sessions(random: () => number): Sessions {
    const config = this.#config
    const clock = this.#clock
    const logger = this.#logger
    const { authentication, endpoint } = config
    if (authentication.kind !== 'none') {
      const metrics = this.#metrics
      const http = this.#http
      return new Keystone({ config, authentication, http, clock, logger, metrics, random })
    }
    if (endpoint === undefined) throw new TypeError('Without authentication an endpoint is needed')
    return new NoAuthentication(endpoint)
  }

  /** Tries until Neutron has answered: at the start, and again after a failure, with or without requests of guests. */
  #probe(): void {
    if (this.#probing !== undefined || this.#closed.signal.aborted) return
    this.#probing = this.#probeUntilAnswered().finally(() => {
      this.#probing = undefined
    })
  }

  async #probeUntilAnswered(): Promise<void> {
    const clock = this.#clock
    const logger = this.#logger
    const { signal } = this.#closed
    let lastLogged = ''
    while (!signal.aborted) {
      try {
        const { remaining } = this.#client.circuitBreaker
        if (remaining > 0) await clock.sleep(remaining, signal)
        await this.#routers.queryAny(signal)
        this.#answered()
        if (this.#routers.isViewLimited) {
          logger.warn({ directory: this.kind }, `Port directory is limited: ${limitedView}`)
        }
        if (lastLogged !== '') logger.info({ directory: this.kind }, 'Neutron answers again')
        return
      } catch (cause) {
        if (signal.aborted) return
        const text = causeText(cause)
        if (text !== lastLogged) {
          logger.warn({ directory: this.kind, cause: text }, 'Neutron cannot be queried')
        }
        lastLogged = text
        await clock.sleep(probePause, signal).catch(() => undefined)
      }
    }
  }
}
