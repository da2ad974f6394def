import { LRUCache } from 'lru-cache'
import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import type { NetworkId } from '../../../../lib/identity/ids.ts'
import type { QueryOptions, Port } from '../../directory/port-directory.ts'
import type { NeutronRestConfig } from '../config.ts'
import { NetworkCopy } from './network-copy.ts'
import type { NetworkCopies } from './network-copies.ts'
import type { PortLists } from './port-lists.ts'
import { QueryBatch } from './query-batch.ts'
import type { RouterCopies } from './router-copies.ts'

/** What it is made with. */
export interface NetworkLookupsOptions {
  readonly config: NeutronRestConfig
  readonly lists: PortLists
  readonly clock: Clock
  readonly copies: NetworkCopies
  readonly routers: RouterCopies
}

/** The network has too many ports for a copy; its addresses have to be queried one by one. */
export const tooLarge = 'too-large'
type Answer = NetworkCopy | typeof tooLarge

const tooLargeFor: Milliseconds = 600_000
const mostTooLarge: Count = 10_000
/** Networks that are queried along with the one that is wanted. */
const mostCompanions: Count = 20

/** Fetches whole networks, several with one query. */
export class NetworkLookups {
  readonly #options: NetworkLookupsOptions
  readonly #batch: QueryBatch<Answer>
  readonly #tooLarge = new LRUCache<NetworkId, MonotonicMilliseconds>({ max: mostTooLarge })

  constructor(options: NetworkLookupsOptions) {
    this.#options = options
    this.#batch = new QueryBatch({
      clock: options.clock,
      send: (keys, asOf, signal) => this.#send(keys as readonly NetworkId[], asOf, signal),
      longestGathering: 250,
      maxAge: options.config.maxAge,
      mostKeys: 100,
      mostWaiting: options.config.queue,
    })
  }

  /** True when a copy of this network is not worth a query. */
  isTooLarge(networkId: NetworkId): boolean {
    const until = this.#tooLarge.get(networkId)
    return this.#options.config.prefetchPorts === 0 || this.#options.clock.now() < (until ?? 0)
  }

  async query(networkId: NetworkId, options: QueryOptions): Promise<Answer> {
    const { answer } = await this.#batch.query(networkId, options)
    return answer
  }

  async #send(
    wanted: readonly NetworkId[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Answer>> {
    const together = [...new Set([...wanted, ...this.#companions(wanted)])]
    const copies = await this.#fetch(together, asOf, signal)
    if (copies !== undefined) return copies
    if (together.length > wanted.length) {
      const withoutCompanions = await this.#fetch(wanted, asOf, signal)
      if (withoutCompanions !== undefined) return withoutCompanions
    }
    return this.#divide(wanted, asOf, signal)
  }

  /** Together they are too many: queries each half until the large ones are found. */
  async #divide(
    wanted: readonly NetworkId[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Answer>> {
    const [only] = wanted
    if (only !== undefined && wanted.length === 1) {
      this.#tooLarge.set(only, this.#options.clock.now() + tooLargeFor)
      return new Map([[only, tooLarge]])
    }
    const answers = new Map<string, Answer>()
    const middle = Math.ceil(wanted.length / 2)
    for (const half of [wanted.slice(0, middle), wanted.slice(middle)]) {
      const copies =
        (await this.#fetch(half, asOf, signal)) ?? (await this.#divide(half, asOf, signal))
      for (const [networkId, copy] of copies) answers.set(networkId, copy)
    }
    return answers
  }

  /**
   * Networks whose copies are due and in use; while the cloud is small, also those that have a router and were never
   * queried. They cost no query of their own.
   */
  #companions(wanted: readonly NetworkId[]): readonly NetworkId[] {
    const { config, copies, routers } = this.#options
    const { maxAge, prefetchPorts } = config
    const due = [...copies.expired(maxAge / 2, 2 * maxAge, prefetchPorts / 2)]
    const small = routers.networks.size <= mostCompanions ? routers.networks : []
    const unknown = [...small].filter((networkId) => copies.peek(networkId) === undefined)
    return [...due, ...unknown]
      .filter((networkId) => !wanted.includes(networkId) && !this.isTooLarge(networkId))
      .slice(0, mostCompanions)
  }

  /** @returns a copy of each network, or `undefined` when they have more ports than we fetch at once */
  async #fetch(
    networkIds: readonly NetworkId[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<NetworkId, NetworkCopy> | undefined> {
    const { lists, config, copies } = this.#options
    const { rows, complete } = await lists.list(
      { kind: 'network_ports', filters: [{ name: 'network_id', values: networkIds }] },
      networkIds,
      { signal, atMost: config.prefetchPorts },
    )
    if (!complete) return undefined
    const ports = new Map<NetworkId, Port[]>(networkIds.map((networkId) => [networkId, []]))
    // A server that ignores the filter sends other networks' ports: they belong to no answer.
    for (const port of rows) ports.get(port.networkId)?.push(port)
    return new Map(
      [...ports].map(([networkId, own]) => {
        const copy = new NetworkCopy(own, asOf)
        copies.set(networkId, copy)
        return [networkId, copy]
      }),
    )
  }
}
