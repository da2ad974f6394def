/**
 * What does a network look like that is new on this host, before the conditions that bring its rows are in effect? A server with
 * a million ports reads a row by `select` far faster than it changes conditions: ovsdb-server tests each row against the old
 * ones and the new ones.
 */
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import type { OvsdbClient } from '../../../lib/ovsdb/client.ts'
import { readUuid, type Row } from '../../../lib/ovsdb/notation.ts'
import type { Freshness, PortQuery, PortsAnswer } from '../directory/port-directory.ts'
import { certainPort } from './certain.ts'
import { Joints } from './joints.ts'
import { southboundTables } from './schema.ts'
import { conditionOfClause, namingClauses, type Clause } from './served-rows.ts'
import { SouthboundCopy } from './southbound-copy.ts'

/** With more at a time, as at the start of a host, conditions for all together are faster. */
const mostAtOnce: Count = 3

/** What looks at new networks are made with. */
export interface FirstLookOptions {
  readonly clock: Clock
  /** Of the session in which the conditions of the monitor change. */
  readonly client: Pick<OvsdbClient, 'transact'>
  /** Changes since are not reported, so a look is used no longer than a copy that no server confirms. */
  readonly longestUse: Milliseconds
}

/** The rows of one network as they were together at one moment. Without the routers' sides of its interfaces. */
export interface FirstLook {
  readonly copy: SouthboundCopy
  /** Before the server read them. */
  readonly asOf: MonotonicMilliseconds
}

/** Looks once at each network that is new. */
export class FirstLooks {
  readonly #options: FirstLookOptions
  readonly #ended: () => void
  /** `undefined`: under way. `null`: in vain, and the conditions are waited for. */
  readonly #looks = new Map<NetworkId, FirstLook | null | undefined>()

  /** @param ended called when a look has ended, also in vain */
  constructor(options: FirstLookOptions, ended: () => void) {
    this.#options = options
    this.#ended = ended
  }

  /** Looks at those of them that it has not looked at, and forgets others. */
  at(networkIds: ReadonlySet<NetworkId>): void {
    for (const networkId of this.#looks.keys()) {
      if (!networkIds.has(networkId)) this.#looks.delete(networkId)
    }
    const fresh = [...networkIds].filter((networkId) => !this.#looks.has(networkId))
    const underWay = [...this.#looks.values()].filter((look) => look === undefined).length
    const isTooMany = fresh.length + underWay > mostAtOnce
    for (const networkId of fresh) {
      this.#looks.set(networkId, isTooMany ? null : undefined)
      if (!isTooMany) void this.#look(networkId)
    }
  }

  isUnderWay(networkId: NetworkId): boolean {
    return this.#looks.has(networkId) && this.#looks.get(networkId) === undefined
  }

  /**
   * What is certain at the first look.
   * @param began when the query came
   * @returns `undefined` where the conditions have to be waited for
   */
  find(
    { networkIds, fixedIp, macAddress }: PortQuery,
    freshness: Freshness,
    began: MonotonicMilliseconds,
  ): PortsAnswer | undefined {
    const [networkId, ...others] = networkIds
    const look = networkId === undefined || others.length > 0 ? undefined : this.of(networkId)
    if (networkId === undefined || look === undefined) return undefined
    const { copy, asOf } = look
    const until = asOf + this.#options.longestUse
    if (this.#options.clock.now() >= until || (freshness === 'fresh' && asOf < began))
      return undefined
    if (fixedIp === undefined || macAddress === undefined) return undefined
    const port = certainPort(copy, networkId, fixedIp, macAddress)
    return port && { ports: [port], asOf, until }
  }

  of(networkId: NetworkId): FirstLook | undefined {
    return this.#looks.get(networkId) ?? undefined
  }

  async #look(networkId: NetworkId): Promise<void> {
    let look: FirstLook | null = null
    try {
      look = (await this.#read(networkId)) ?? null
    } catch {
      // There is no session, or the server refuses: the conditions bring the rows, or show why they cannot.
    }
    if (!this.isUnderWay(networkId)) return
    this.#looks.set(networkId, look)
    this.#ended()
  }

  async #read(networkId: NetworkId): Promise<FirstLook | undefined> {
    const { client, clock } = this.#options
    const byName = namingClauses(networkId).map((clause) => select(clause))
    const datapaths = uuidsIn(await client.transact(byName))
    const ofPorts = datapaths.map((uuid) => select(`datapath ${uuid}`))
    const asOf = clock.now()
    // Datapaths once more: all rows have to be of one moment.
    const results = await client.transact([...byName, ...ofPorts])
    const again = uuidsIn(results.slice(0, byName.length))
    if (results.length !== byName.length + ofPorts.length) return undefined
    if (again.join() !== datapaths.join()) return undefined
    const copy = new SouthboundCopy(new Joints())
    for (const [place, result] of results.entries()) {
      const table = place < byName.length ? 'Datapath_Binding' : 'Port_Binding'
      for (const row of rowsOf(result)) {
        copy.apply({ kind: 'put', table, uuid: readUuid(row['_uuid']), row })
      }
    }
    return { copy, asOf }
  }
}

function select(clause: Clause): unknown {
  const [table, condition] = conditionOfClause(clause)
  const { columns } = southboundTables[table]
  return { op: 'select', table, where: [condition], columns: ['_uuid', ...columns] }
}

function rowsOf(result: unknown): readonly Row[] {
  const { rows = [] } = (result ?? {}) as { readonly rows?: readonly Row[] }
  return rows
}

function uuidsIn(results: readonly unknown[]): readonly string[] {
  const rows = results.flatMap((result) => rowsOf(result))
  return [...new Set(rows.map((row) => readUuid(row['_uuid'])))].toSorted()
}
