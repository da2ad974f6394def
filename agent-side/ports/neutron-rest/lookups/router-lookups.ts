import type { Clock, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import type { RouterId } from '../../../../lib/identity/ids.ts'
import {
  routerInterfaceOwners,
  type QueryOptions,
  type InterfacesAnswer,
} from '../../directory/port-directory.ts'
import type { NeutronClient } from '../neutron/client.ts'
import type { NeutronRestConfig } from '../config.ts'
import { QueryBatch } from './query-batch.ts'
import { interfacesByRouter, type RouterCopies } from './router-copies.ts'
import { parseRouterPort, routerInterfaceFields, type RouterPort } from '../neutron/schema.ts'

/** What it is made with. */
export interface RouterLookupsOptions {
  readonly config: NeutronRestConfig
  readonly client: NeutronClient
  readonly clock: Clock
  readonly copies: RouterCopies
}

/** How long a cloud counts as too large for a copy of all its router interfaces. */
const tooLargeFor: Milliseconds = 3_600_000

/** Queries the interfaces of routers. */
export class RouterLookups {
  readonly #options: RouterLookupsOptions
  readonly #batch: QueryBatch<InterfacesAnswer>
  #isViewLimited = false
  #tooLargeUntil: MonotonicMilliseconds = Number.NEGATIVE_INFINITY

  constructor(options: RouterLookupsOptions) {
    this.#options = options
    this.#batch = new QueryBatch({
      clock: options.clock,
      send: (keys, asOf, signal) => this.#send(keys as readonly RouterId[], asOf, signal),
      longestGathering: 250,
      maxAge: options.config.maxAge,
      mostKeys: 500,
      mostWaiting: options.config.queue,
    })
  }

  /** True when Neutron shows us ports as it shows them to their project: those of other projects then seem not to exist. */
  get isViewLimited(): boolean {
    return this.#isViewLimited
  }

  async query(routerId: RouterId, options: QueryOptions): Promise<InterfacesAnswer> {
    const { answer } = await this.#batch.query(routerId, options)
    return answer
  }

  /** The first query, which shows that we may query at all and warms the copy of the router interfaces. */
  async queryAny(signal: AbortSignal): Promise<void> {
    const { clock, client } = this.#options
    if (await this.#queryAll(clock.now(), signal)) return
    const query = {
      ...this.#portsQuery([]),
      filters: [{ name: 'network_id', values: ['-'] }],
    } as const
    await client.list(query, { signal, parseRow: parseRouterPort })
  }

  async #send(
    routerIds: readonly RouterId[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, InterfacesAnswer>> {
    const { clock, config, copies } = this.#options
    const hasAll = copies.hasAll(clock.now(), config.maxAge)
    if (!hasAll && (await this.#queryAll(asOf, signal))) {
      const age = Number.POSITIVE_INFINITY
      return new Map(
        routerIds.map((routerId) => [
          routerId,
          copies.get(routerId, asOf, age) ?? { interfaces: [], asOf },
        ]),
      )
    }
    return this.#queryEach(routerIds, asOf, signal)
  }

  async #queryEach(
    routerIds: readonly RouterId[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, InterfacesAnswer>> {
    const { client, copies } = this.#options
    const { rows } = await client.list(this.#portsQuery(routerIds), {
      signal,
      parseRow: parseRouterPort,
    })
    this.#look(rows)
    const interfaces = interfacesByRouter(rows)
    return new Map(
      routerIds.map((routerId) => {
        const answer = { interfaces: interfaces.get(routerId) ?? [], asOf }
        copies.set(routerId, answer)
        return [routerId, answer]
      }),
    )
  }

  /** @returns false when the cloud has too many router interfaces, or the copy is turned off */
  async #queryAll(asOf: MonotonicMilliseconds, signal: AbortSignal): Promise<boolean> {
    const { clock, config, client, copies } = this.#options
    const atMost = config.prefetchRouterInterfaces
    if (atMost === 0 || clock.now() < this.#tooLargeUntil) return false
    const { filters, ...query } = this.#portsQuery([])
    const listing = await client.list(
      { ...query, filters: filters.filter(({ name }) => name === 'device_owner') },
      { signal, atMost, parseRow: parseRouterPort },
    )
    this.#look(listing.rows)
    if (!listing.complete) {
      this.#tooLargeUntil = clock.now() + tooLargeFor
      return false
    }
    copies.setAll(interfacesByRouter(listing.rows), asOf)
    return true
  }

  #look(rows: readonly RouterPort[]): void {
    if (rows.length > 0) this.#isViewLimited = rows.every((row) => !row.asAdministrator)
  }

  #portsQuery(routerIds: readonly RouterId[]): Parameters<NeutronClient['list']>[0] {
    return {
      kind: 'router_interfaces',
      fields: routerInterfaceFields,
      filters: [
        { name: 'device_owner', values: [...routerInterfaceOwners] },
        { name: 'device_id', values: routerIds },
      ],
    }
  }
}
