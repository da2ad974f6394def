import type { Count, Milliseconds, MonotonicMilliseconds } from '../../../../lib/runtime/clock.ts'
import { MetadataError } from '../../../../lib/runtime/errors.ts'
import {
  parseNetworkId,
  parseRouterId,
  type NetworkId,
  type RouterId,
} from '../../../../lib/identity/ids.ts'
import { isLinkLocalIpv6 } from '../../../../lib/identity/ip-address.ts'
import {
  brokenAnswer,
  parseNeutronPort,
  routerOfInterface,
  type JsonObject,
  type NeutronPort,
} from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'
import { routerInterfaceOwners, type Port, type PortQuery } from '../../directory/port-directory.ts'
import { deferred, type Deferred } from '../../../../lib/runtime/deferred.ts'
import type { Cover } from './cover.ts'
import type { CopyPart } from './port-copy.ts'

/** Queries a server for ports by filter: lists are ORed, fields ANDed. @returns the reply as it came */
export type GetPorts = (filters: JsonObject, timeout: Milliseconds) => Promise<unknown>

/** What {@link PartFetcher} queries, how much at a time, and who receives the answers. */
export interface PartFetcherOptions {
  readonly getPorts: GetPorts
  readonly timeout: Milliseconds
  /** Called as a query leaves. @returns how far its answer will be trusted */
  readonly left: () => Cover
  /** Called when a query has no answer that is worth something. */
  readonly abandoned: (cover: Cover) => void
  /** Networks or routers that one query may name. */
  readonly partsPerQuery: Count
  /** Queries under way at a time. */
  readonly concurrency: Count
  /** Parts that may wait for their query; further ones are refused. */
  readonly queue: Count
  /** Called with each answer before those who wait for it go on. */
  readonly fetched: (
    parts: readonly CopyPart[],
    ports: readonly NeutronPort[],
    cover: Cover,
  ) => void
}

interface Wanted {
  readonly part: CopyPart
  /** Infinite until the query leaves. */
  leftAt: MonotonicMilliseconds
  readonly done: Deferred<void>
}

function keyOf(part: CopyPart): string {
  if (part.kind === 'all') return 'all'
  return part.kind === 'network' ? part.networkId : part.routerId
}

function filtersFor(parts: readonly CopyPart[]): JsonObject {
  const [first] = parts
  // An empty list would be no condition at all.
  if (first === undefined) throw new RangeError('A query must name a network or a router')
  if (first.kind === 'network') return { network_id: parts.map(keyOf) }
  if (first.kind === 'router') {
    return { device_id: parts.map(keyOf), device_owner: [...routerInterfaceOwners] }
  }
  return {}
}

/** What a row belongs to, read from as little of it as possible. */
function ownerOf(row: unknown, kind: CopyPart['kind']): NetworkId | RouterId | 'all' | undefined {
  if (kind === 'all') return 'all'
  if (!isMapping(row)) return undefined
  return kind === 'network' ? parseNetworkId(row['network_id']) : parseRouterId(row['device_id'])
}

function belongsTo(port: Port, kind: CopyPart['kind'], keys: ReadonlySet<string>): boolean {
  if (kind === 'all') return true
  const owner = kind === 'network' ? port.networkId : routerOfInterface(port)
  return owner !== undefined && keys.has(owner)
}

interface Answer {
  readonly ports: readonly NeutronPort[]
  /** Parts with a port that cannot be read; `undefined` for a port that cannot even be placed. */
  readonly broken: ReadonlyMap<string | undefined, MetadataError>
}

/** Reads an answer and drops what was not queried: a server that does not know a filter leaves it out. */
function readAnswer(reply: unknown, kind: CopyPart['kind'], keys: ReadonlySet<string>): Answer {
  if (!Array.isArray(reply)) throw brokenAnswer('the ports are not a list')
  const ports: NeutronPort[] = []
  const broken = new Map<string | undefined, MetadataError>()
  for (const row of reply as readonly unknown[]) {
    try {
      const held = parseNeutronPort(row)
      if (belongsTo(held.port, kind, keys)) ports.push(held)
    } catch (thrown) {
      if (!(thrown instanceof MetadataError)) throw thrown
      broken.set(ownerOf(row, kind), thrown)
    }
  }
  return { ports, broken }
}

/**
 * Fetches networks and routers whole with `get_ports`: what is wanted in one tick, or while all queries are under way,
 * goes into one query.
 */
export class PartFetcher {
  readonly #options: PartFetcherOptions
  readonly #next = new Map<string, Wanted>()
  readonly #running = new Map<string, Wanted>()
  #underWay: Count = 0
  #isScheduled = false

  constructor(options: PartFetcherOptions) {
    this.#options = options
  }

  /**
   * Resolves once the part has been fetched and handed on. An answer will do to a query that is
   * under way and left after `leftAfter`.
   * @throws MetadataError why it could not
   */
  fetch(
    part: CopyPart,
    { leftAfter }: { readonly leftAfter: MonotonicMilliseconds },
  ): Promise<void> {
    const key = `${part.kind}/${keyOf(part)}`
    const running = this.#running.get(key)
    if (running !== undefined && running.leftAt > leftAfter) return running.done.promise
    const wanted = this.#next.get(key)
    if (wanted !== undefined) return wanted.done.promise
    if (this.#next.size >= this.#options.queue) {
      const message = 'Cannot query Neutron: too many queries wait'
      return Promise.reject(
        new MetadataError('directory_unavailable', message, {
          details: { waiting: this.#next.size },
        }),
      )
    }
    const done = deferred<void>()
    // The caller may have left.
    done.promise.catch(() => undefined)
    this.#next.set(key, { part, leftAt: Infinity, done })
    this.#schedule()
    return done.promise
  }

  /** Queries the ports that match one query on one network, without fetching it whole. */
  async query(networkId: NetworkId, query: PortQuery): Promise<readonly Port[]> {
    const { fixedIp, macAddress } = query
    const queries: JsonObject[] = []
    // No port has such a fixed IP: it is made from the MAC.
    if (fixedIp !== undefined && !isLinkLocalIpv6(fixedIp)) {
      queries.push({ network_id: [networkId], fixed_ips: { ip_address: [fixedIp] } })
    }
    if (macAddress !== undefined) {
      queries.push({ network_id: [networkId], mac_address: [macAddress] })
    }
    const found = new Map<string, Port>()
    const { getPorts, timeout } = this.#options
    for (const reply of await Promise.all(queries.map((filters) => getPorts(filters, timeout)))) {
      const { ports, broken } = readAnswer(reply, 'network', new Set([networkId]))
      for (const error of broken.values()) throw error
      for (const { port } of ports) {
        const matches =
          (fixedIp !== undefined && port.fixedIps.includes(fixedIp)) ||
          port.macAddress === macAddress
        if (matches) found.set(port.portId, port)
      }
    }
    return [...found.values()]
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#sendAll()
    })
  }

  #sendAll(): void {
    const { concurrency, partsPerQuery } = this.#options
    while (this.#underWay < concurrency && this.#next.size > 0) {
      const batch: Wanted[] = []
      for (const [key, wanted] of this.#next) {
        if (this.#running.has(key)) continue
        if (batch[0] !== undefined && batch[0].part.kind !== wanted.part.kind) continue
        batch.push(wanted)
        this.#next.delete(key)
        this.#running.set(key, wanted)
        if (batch.length >= partsPerQuery || wanted.part.kind === 'all') break
      }
      if (batch.length === 0) return
      this.#underWay += 1
      void this.#send(batch).finally(() => {
        this.#underWay -= 1
        for (const { part } of batch) this.#running.delete(`${part.kind}/${keyOf(part)}`)
        if (this.#next.size > 0) this.#schedule()
      })
    }
  }

  async #send(batch: readonly Wanted[]): Promise<void> {
    const { getPorts, timeout } = this.#options
    const parts = batch.map(({ part }) => part)
    const kind = parts[0]?.kind ?? 'network'
    const cover = this.#options.left()
    for (const wanted of batch) wanted.leftAt = cover.fetchedAt
    try {
      const reply = await getPorts(filtersFor(parts), timeout)
      const { ports, broken } = readAnswer(reply, kind, new Set(parts.map(keyOf)))
      const errorFor = (part: CopyPart): MetadataError | undefined =>
        broken.get(keyOf(part)) ?? broken.get(undefined)
      const whole = parts.filter((part) => errorFor(part) === undefined)
      const keys = new Set(whole.map(keyOf))
      const kept = ports.filter(({ port }) => belongsTo(port, kind, keys))
      if (whole.length > 0) this.#options.fetched(whole, kept, cover)
      else this.#options.abandoned(cover)
      for (const { part, done } of batch) {
        const error = errorFor(part)
        if (error === undefined) done.resolve()
        else done.reject(error)
      }
    } catch (thrown) {
      this.#options.abandoned(cover)
      for (const { done } of batch) done.reject(thrown)
    }
  }
}
