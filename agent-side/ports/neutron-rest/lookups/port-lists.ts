import { LRUCache } from 'lru-cache'
import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../../lib/runtime/clock.ts'
import { parseNetworkId, type NetworkId } from '../../../../lib/identity/ids.ts'
import { shieldTagPrefix } from '../../../../lib/shield/network-tag.ts'
import { brokenAnswer } from '../../directory/neutron-port.ts'
import type { Port } from '../../directory/port-directory.ts'
import type { Listing, ListOptions, NeutronClient } from '../neutron/client.ts'
import type { PortsQuery } from '../neutron/ports-query.ts'
import {
  networkTagFields,
  parsePort,
  parseTaggedNetwork,
  portFields,
  type TaggedNetwork,
} from '../neutron/schema.ts'

/** What it is made with. */
export interface PortListsOptions {
  readonly client: Pick<NeutronClient, 'list'>
  readonly clock: Pick<Clock, 'now'>
  /** Whether ports are to carry the tags of their networks. */
  readonly readsTags: boolean
}

type TagsByNetwork = ReadonlyMap<NetworkId, readonly string[]>

/** In the place of tags that fill a whole answer. Whoever can set so many could remove any. */
const unread = [`${shieldTagPrefix} more tags than can be read`] as const
const unreadFor: Milliseconds = 600_000
const mostUnread: Count = 10_000

/** Lists ports of networks, and where that is wanted, the tags of the networks at the same time. */
export class PortLists {
  readonly #options: PortListsOptions
  readonly #unread = new LRUCache<NetworkId, MonotonicMilliseconds>({ max: mostUnread })

  constructor(options: PortListsOptions) {
    this.#options = options
  }

  /** @throws MetadataError `directory_unavailable`, `directory_timeout`; also where tags of a network are wanted and not shown */
  async list(
    query: Pick<PortsQuery, 'kind' | 'filters'>,
    networkIds: readonly NetworkId[],
    options: Pick<ListOptions<Port>, 'signal' | 'atMost'>,
  ): Promise<Listing<Port>> {
    const { client, readsTags } = this.#options
    const listed = (): Promise<Listing<Port>> =>
      client.list({ ...query, fields: portFields }, { ...options, parseRow: parsePort })
    if (!readsTags) return await listed()
    const [first, tags] = await Promise.all([listed(), this.#tagsOf(networkIds, options.signal)])
    // A server that ignores the filter sends ports of other networks, which callers leave out.
    const wanted = new Set(networkIds)
    const isHidden = ({ networkId }: Port): boolean => wanted.has(networkId) && !tags.has(networkId)
    // Deleted between the two answers? Its ports went before it, and must not keep the guests of others waiting.
    const { rows, complete } = first.rows.some(isHidden) ? await listed() : first
    if (!complete) return { rows, complete }
    return {
      complete,
      rows: rows.map((port) => (wanted.has(port.networkId) ? tagged(port, tags) : port)),
    }
  }

  async #tagsOf(networkIds: readonly NetworkId[], signal: AbortSignal): Promise<TagsByNetwork> {
    const { client, clock } = this.#options
    const isUnread = (networkId: NetworkId): boolean =>
      clock.now() < (this.#unread.get(networkId) ?? 0)
    const values = networkIds.filter((networkId) => !isUnread(networkId))
    const { rows } = await client.list(
      {
        kind: 'network_tags',
        collection: 'networks',
        fields: networkTagFields,
        filters: [{ name: 'id', values }],
      },
      {
        signal,
        parseRow: parseTaggedNetwork,
        // One network must not keep the guests of others waiting.
        overlong: ({ filters: [filter] }) => this.#overlong(filter?.values ?? []),
      },
    )
    return new Map<NetworkId, readonly string[]>([
      ...rows.map(({ networkId, tags }) => [networkId, tags] as const),
      ...networkIds.filter(isUnread).map((networkId) => [networkId, unread] as const),
    ])
  }

  #overlong(values: readonly string[]): readonly TaggedNetwork[] {
    const until = this.#options.clock.now() + unreadFor
    for (const value of values) {
      const networkId = parseNetworkId(value)
      if (networkId !== undefined) this.#unread.set(networkId, until)
    }
    return []
  }
}

/** Without them it is not known what is to be refused: a user that is not shown networks must not switch that off. */
function tagged(port: Port, tags: TagsByNetwork): Port {
  const own = tags.get(port.networkId)
  if (own === undefined) throw brokenAnswer('the network of a port is not shown')
  return own.length === 0 ? port : { ...port, networkTags: own }
}
