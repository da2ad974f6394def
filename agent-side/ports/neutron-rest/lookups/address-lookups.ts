import type { Clock, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import type { NetworkId } from '../../../../lib/identity/ids.ts'
import type { IpAddress } from '../../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../../lib/identity/mac-address.ts'
import type { QueryOptions, Port, PortQuery } from '../../directory/port-directory.ts'
import type { NeutronRestConfig } from '../config.ts'
import { areSamePorts } from './network-copy.ts'
import type { NetworkCopies } from './network-copies.ts'
import { fixedIpFilter, type Filter } from '../neutron/ports-query.ts'
import type { PortLists } from './port-lists.ts'
import { QueryBatch, type DatedAnswer } from './query-batch.ts'

/** What it is made with. */
export interface AddressLookupsOptions {
  readonly config: NeutronRestConfig
  readonly lists: PortLists
  readonly clock: Clock
  readonly copies: NetworkCopies
}

type By = 'address' | 'mac'

function has(port: Port, by: By, value: string): boolean {
  return by === 'mac' ? port.macAddress === value : port.fixedIps.some((ip) => ip === value)
}

/** Queries single addresses: of networks too large for a copy, and where a fresh answer should not cost a whole network. */
export class AddressLookups {
  readonly #options: AddressLookupsOptions
  readonly #batches: Readonly<Record<By, QueryBatch<readonly Port[]>>>

  constructor(options: AddressLookupsOptions) {
    this.#options = options
    this.#batches = { address: this.#batch('address'), mac: this.#batch('mac') }
  }

  /** Ports of one network that have the fixed IP or the MAC. */
  async query(
    networkId: NetworkId,
    query: Pick<PortQuery, 'fixedIp' | 'macAddress'>,
    options: QueryOptions,
  ): Promise<DatedAnswer<readonly Port[]>> {
    const { fixedIp, macAddress } = query
    const queries: Promise<DatedAnswer<readonly Port[]>>[] = []
    if (fixedIp !== undefined) queries.push(this.#one('address', networkId, fixedIp, options))
    if (macAddress !== undefined) queries.push(this.#one('mac', networkId, macAddress, options))
    const answers = await Promise.all(queries)
    const ports = new Map(
      answers.flatMap(({ answer }) => answer.map((port) => [port.portId, port] as const)),
    )
    return {
      answer: [...ports.values()],
      asOf: Math.min(...answers.map(({ asOf }) => asOf)),
    }
  }

  #one(
    by: By,
    networkId: NetworkId,
    value: IpAddress | MacAddress,
    options: QueryOptions,
  ): Promise<DatedAnswer<readonly Port[]>> {
    return this.#batches[by].query(`${networkId} ${value}`, options)
  }

  #batch(by: By): QueryBatch<readonly Port[]> {
    const { clock, config } = this.#options
    return new QueryBatch({
      clock,
      send: (keys, asOf, signal) => this.#send(by, keys, asOf, signal),
      longestGathering: 250,
      maxAge: config.maxAge,
      mostKeys: 500,
      mostWaiting: config.queue,
    })
  }

  async #send(
    by: By,
    keys: readonly string[],
    asOf: MonotonicMilliseconds,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, readonly Port[]>> {
    const wanted = keys.map((key) => {
      const [networkId = '', value = ''] = key.split(' ')
      return { key, networkId: networkId as NetworkId, value }
    })
    const values = [...new Set(wanted.map(({ value }) => value))]
    const networkIds = [...new Set(wanted.map(({ networkId }) => networkId))]
    const filter: Filter = by === 'mac' ? { name: 'mac_address', values } : fixedIpFilter(values)
    const { rows } = await this.#options.lists.list(
      {
        kind: by === 'mac' ? 'ports_by_mac' : 'ports_by_address',
        filters: [{ name: 'network_id', values: networkIds }, filter],
      },
      networkIds,
      { signal },
    )
    // The query covers every address on every network; each caller gets only its own.
    return new Map(
      wanted.map(({ key, networkId, value }) => {
        const own = rows.filter((port) => port.networkId === networkId && has(port, by, value))
        this.#compare(networkId, by, value, own, asOf)
        return [key, own]
      }),
    )
  }

  #compare(
    networkId: NetworkId,
    by: By,
    value: string,
    ports: readonly Port[],
    asOf: MonotonicMilliseconds,
  ): void {
    const { copies } = this.#options
    const held = copies.peek(networkId)
    if (held === undefined || held.asOf > asOf) return
    const known =
      by === 'mac'
        ? held.find({ macAddress: value as MacAddress })
        : held.find({ fixedIp: value as IpAddress })
    if (!areSamePorts(known, ports)) copies.overtake(networkId, asOf)
  }
}
