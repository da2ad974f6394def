import type { Milliseconds } from '../runtime/clock.ts'
import type { Row } from './notation.ts'
import { OvsdbError } from './ovsdb-error.ts'
import {
  readIndex,
  readServerStatus,
  serverStatusColumns,
  whyUnsuitable,
  type ClusterPosition,
} from './server-status.ts'
import type { OvsdbSession } from './session.ts'
import { readTableUpdates, type TableUpdates } from './table-updates.ts'

export interface ServerWatchOptions {
  readonly database: string
  readonly leaderOnly: boolean
  /** How long the server may take for each answer. */
  readonly answerLimit: Milliseconds
}

const watchName = '_Server'

/**
 * Queries a server's role for the database, and ends the session when that changes for the worse: another leader, a lost
 * cluster, a database that was removed. Servers before 2.9 have no such table and are taken as they are.
 */
export class ServerWatch {
  readonly #options: ServerWatchOptions
  readonly #seen: () => ClusterPosition | undefined
  /** Rows of Database by UUID: a database removed and added again is another row. */
  readonly #rows = new Map<string, Row>()
  #session: OvsdbSession | undefined
  #isKnown = false
  #index: number | undefined
  #updateMethod = 'update2'

  constructor(options: ServerWatchOptions, seen: () => ClusterPosition | undefined) {
    this.#options = options
    this.#seen = seen
  }

  /** @throws OvsdbError `unsuitable` when the server is not to be used */
  async begin(session: OvsdbSession): Promise<void> {
    this.#session = session
    await this.#call('set_db_change_aware', [true])
    const columns = serverStatusColumns
    const where = [['name', '==', this.#options.database]]
    const conditional = { Database: [{ columns, where }] }
    let answer = await this.#call('monitor_cond', [watchName, watchName, conditional])
    if (answer === undefined) {
      this.#updateMethod = 'update'
      answer = await this.#call('monitor', [watchName, watchName, { Database: [{ columns }] }])
    }
    if (answer === undefined) return
    this.#isKnown = true
    this.#take(readTableUpdates(answer, 0))
    await this.locate()
    const problem = this.#problem()
    if (problem !== undefined) throw problem
  }

  /** @returns whether the notification was for this watch */
  notify(method: string, params: unknown): boolean {
    if (method !== this.#updateMethod || !Array.isArray(params) || params[0] !== watchName) {
      return false
    }
    this.#take(readTableUpdates(params, 1))
    const problem = this.#isKnown ? this.#problem() : undefined
    if (problem !== undefined) this.#session?.fail(problem)
    return true
  }

  /** How far the cluster is, as this server last answered. */
  get position(): ClusterPosition | undefined {
    const { clusterId } = this.#status() ?? {}
    const index = this.#index
    return clusterId === undefined || index === undefined ? undefined : { clusterId, index }
  }

  /**
   * Queries how far the server is. It is not monitored, since every transaction of the cloud moves it: that would be an
   * update to every client.
   */
  async locate(): Promise<void> {
    if (this.#status()?.clusterId === undefined) return
    const { database } = this.#options
    const where = [['name', '==', database]]
    const select = { op: 'select', table: 'Database', where, columns: ['index'] }
    this.#index = readIndex(await this.#call('transact', [watchName, select])) ?? this.#index
  }

  /** @returns `undefined` when the server does not know the method or the `_Server` database */
  async #call(method: string, params: readonly unknown[]): Promise<unknown> {
    try {
      return await this.#session?.request(method, params, this.#options.answerLimit)
    } catch (thrown) {
      if (thrown instanceof OvsdbError && thrown.failure === 'refused') return undefined
      throw thrown
    }
  }

  #take(updates: TableUpdates): void {
    for (const change of updates.changes) {
      if (change.kind === 'delete') this.#rows.delete(change.uuid)
      else if (change.kind === 'put') this.#rows.set(change.uuid, change.row)
      // All watched columns hold single values, whose difference is the new value.
      else this.#rows.set(change.uuid, { ...this.#rows.get(change.uuid), ...change.row })
    }
  }

  #status(): ReturnType<typeof readServerStatus> | undefined {
    const { database } = this.#options
    const row = [...this.#rows.values()].find(({ name }) => name === database)
    return row && readServerStatus(row, this.#index)
  }

  #problem(): OvsdbError | undefined {
    const { database, leaderOnly } = this.#options
    return whyUnsuitable(this.#status(), database, { leaderOnly, seen: this.#seen() })
  }
}
