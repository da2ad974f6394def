import type { Clock, Count, Milliseconds } from '../runtime/clock.ts'
import { causeText } from '../runtime/errors.ts'
import { OvsdbError } from './ovsdb-error.ts'
import { noRows, RowSelection, type Conditions } from './row-selection.ts'
import type { OvsdbSession } from './session.ts'
import { readTableUpdates, type RowChange, type TableUpdates } from './table-updates.ts'

/** What is to be copied of one table. */
export interface MonitoredTable {
  readonly columns: readonly string[]
  /** RFC 7047 §5.1 conditions; servers before 2.6 ignore them, so the consumer must be able to. */
  readonly where?: readonly unknown[]
}

/** What is to be copied, by the names of tables. */
export type MonitoredTables = Readonly<Record<string, MonitoredTable>>

/** Takes in a complete copy beside the one in use, and then puts it in its place. */
export interface CopyBuilder {
  add(change: RowChange): void
  /** Puts the new copy in place of the old one, at once. */
  finish(): void
}

/** Who holds the copy. Both calls happen between two turns of the event loop: no reader sees half of a transaction. */
export interface MonitorConsumer {
  startCopy(): CopyBuilder
  apply(changes: readonly RowChange[]): void
  /** The copy has the rows of what {@link Monitor.select} chose last, or the choice is being changed. */
  selected?(): void
}

/** One copy to be kept, and who holds it. */
export interface MonitorSpec {
  /** Unique among the monitors of a client. */
  readonly name: string
  readonly database: string
  /** Read at the beginning of each session. When it differs from before, the copy is brought whole. */
  readonly tables: MonitoredTables
  /** What is requested instead from a server that refuses `tables`: its schema is older. */
  readonly older?: MonitoredTables
  readonly consumer: MonitorConsumer
  /** A server that refuses it is used all the same. */
  readonly optional?: boolean
  /** Rows are chosen by {@link Monitor.select}, at first none. The tables then have no `where` of their own. */
  readonly isSelective?: boolean
}

/** What the first answer was: everything, or only what changed since the copy was last right. */
export type CopyKind = 'full' | 'resumed'

/** Rows come when conditions change, and later. */
const withoutInitial = { initial: false }
const noTransaction = '00000000-0000-0000-0000-000000000000'
/** How long rows are taken in before others get their turn. */
const sliceOfTime: Milliseconds = 10
const rowsPerGlance: Count = 32
/** Updates that may wait while the first copy is taken in; beyond it a new copy is cheaper. */
const mostWaiting = 50_000

/** The three ways to monitor, best first, and how their messages look. @see ovsdb-server(7) §4.1.12, §4.1.15, RFC 7047 §4.1.5 */
const methods = [
  { request: 'monitor_cond_since', update: 'update3', words: 2 },
  { request: 'monitor_cond', update: 'update2', words: 1 },
  { request: 'monitor', update: 'update', words: 1 },
] as const
type Method = (typeof methods)[number]

/**
 * Keeps one copy in step with the server over as many sessions as it takes. It remembers the last transaction, so that a
 * new session need only bring what happened since.
 */
export class Monitor {
  readonly spec: MonitorSpec
  readonly #clock: Clock
  #lastTransaction: string = noTransaction
  /** What that transaction's copy is of. */
  #copied = ''
  #session: OvsdbSession | undefined
  #method: Method = methods[0]
  #isBusy = false
  #isBeginning = false
  #waiting: TableUpdates[] = []
  /** Ends when nothing waits. */
  #draining: Promise<void> = Promise.resolve()
  readonly #selection: RowSelection | undefined
  #limit: Milliseconds = 0

  constructor(spec: MonitorSpec, clock: Clock) {
    this.spec = spec
    this.#clock = clock
    if (spec.isSelective === true) this.#selection = new RowSelection(spec.name, spec.tables)
  }

  /** Chooses other rows, in this session and in later ones. {@link MonitorConsumer.selected} follows. */
  select(conditions: Conditions): void {
    this.#selection?.want(conditions)
    const session = this.#session
    if (session !== undefined && !this.#isBeginning) this.#settle(session)
  }

  /** The rows that the copy has for certain: those that match every one of these. */
  get selected(): readonly Conditions[] {
    const { applied, sent } = this.#selection ?? {}
    return [applied, sent].filter((one) => one !== undefined)
  }

  /** Whether something that has come is not in the copy yet. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** Begins on a new session and resolves when the copy is right. @throws OvsdbError */
  async begin(
    session: OvsdbSession,
    limit: Milliseconds,
    tables = this.spec.tables,
  ): Promise<CopyKind> {
    this.#session = session
    this.#limit = limit
    this.#waiting = []
    this.#isBusy = true
    this.#isBeginning = true
    const selected = JSON.stringify(tables)
    if (selected !== this.#copied || this.#selection?.begin() === false) this.forget()
    this.#copied = selected
    for (const method of methods) {
      this.#method = method
      try {
        const answer = await session.request(method.request, this.#params(method, tables), limit)
        const kind = await this.#takeCopy(answer, session)
        await this.#drain(session)
        this.#isBeginning = false
        this.spec.consumer.selected?.()
        this.#settle(session)
        return kind
      } catch (thrown) {
        const isUnknown = thrown instanceof OvsdbError && thrown.refusal === 'unknown method'
        if (!isUnknown || method.request === 'monitor') throw thrown
      }
    }
    throw new OvsdbError('protocol', 'The server knows no way to monitor')
  }

  /** @returns whether the notification was for this monitor */
  notify(method: string, params: unknown): boolean {
    if (method === 'monitor_canceled') {
      if (!Array.isArray(params) || params[0] !== this.spec.name) return false
      this.forget()
      this.#session?.fail(new OvsdbError('unsuitable', 'The server cancelled the monitor'))
      return true
    }
    if (method !== this.#method.update || this.#session === undefined) return false
    const updates = readTableUpdates(params, this.#method.words)
    if (updates.words[0] !== this.spec.name) return false
    if (this.#isBusy || updates.isLong) this.#queue(updates)
    else this.#apply(updates, [...updates.changes])
    return true
  }

  /** Gives up what is under way; nothing more reaches the consumer. */
  stop(): void {
    this.#session = undefined
    this.#waiting = []
    this.#isBusy = false
  }

  /** The copy cannot be trusted to be that of the last transaction: the next session brings it whole. */
  forget(): void {
    this.#lastTransaction = noTransaction
  }

  /** A server that knows no conditions has sent everything, and so what is wanted too. */
  #settle(session: OvsdbSession): void {
    const selection = this.#selection
    if (selection === undefined) return
    const { consumer } = this.spec
    if (this.#method.request === 'monitor') {
      selection.restart(selection.wanted)
      consumer.selected?.()
      return
    }
    const settled = selection.settle(
      session,
      this.#limit,
      () => this.#draining,
      () => consumer.selected?.(),
    )
    settled.catch((thrown: unknown) => {
      const why = 'Cannot change what is monitored'
      session.fail(
        thrown instanceof OvsdbError
          ? thrown
          : new OvsdbError('protocol', `${why}: ${causeText(thrown)}`, { cause: thrown }),
      )
    })
  }

  #params(method: Method, tables: MonitoredTables): unknown[] {
    const isSince = method.request === 'monitor_cond_since'
    const mayResume = isSince && this.#lastTransaction !== noTransaction
    const selected = mayResume ? this.#selection?.applied : noRows(tables)
    const requests = Object.entries(tables).map(([table, { columns, where }]) => {
      const request =
        method.request === 'monitor'
          ? { columns }
          : this.#selection === undefined
            ? { columns, ...(where !== undefined && { where }) }
            : { columns, where: selected?.[table], select: withoutInitial }
      return [table, [request]] as const
    })
    const common = [this.spec.database, this.spec.name, Object.fromEntries(requests)]
    return isSince ? [...common, this.#lastTransaction] : common
  }

  async #takeCopy(answer: unknown, session: OvsdbSession): Promise<CopyKind> {
    const isSince = this.#method.request === 'monitor_cond_since'
    const updates = readTableUpdates(answer, isSince ? 2 : 0)
    const [found, transaction] = updates.words
    if (found === true) {
      const changes = await this.#read(updates, session)
      this.#apply({ ...updates, words: [this.spec.name, transaction] }, changes)
      return 'resumed'
    }
    if (this.#selection !== undefined && this.#method.request !== 'monitor') {
      await this.#takeSelected(this.#selection, transaction, session)
      return 'full'
    }
    const builder = this.spec.consumer.startCopy()
    await this.#each(updates.changes, session, (change) => builder.add(change))
    this.#selection?.restart(this.#selection.wanted)
    builder.finish()
    this.#remember(transaction)
    return 'full'
  }

  /**
   * Brings the rows that are wanted by a change from none to these. For the rows of a new monitor ovsdb-server first copies the
   * whole table, whatever its conditions: seconds, with a million rows.
   */
  async #takeSelected(
    selection: RowSelection,
    begun: unknown,
    session: OvsdbSession,
  ): Promise<void> {
    let transaction = begun
    if (this.#lastTransaction !== noTransaction) {
      this.forget()
      await session.request('monitor_cancel', [this.spec.name], this.#limit)
      const params = this.#params(this.#method, this.spec.tables)
      const answer = await session.request(this.#method.request, params, this.#limit)
      transaction = readTableUpdates(answer, 2).words[1]
    }
    const builder = this.spec.consumer.startCopy()
    const { wanted } = selection
    await session.request('monitor_cond_change', selection.request(wanted), this.#limit)
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#each(next.changes, session, (change) => builder.add(change))
      transaction = next.words[1] ?? transaction
    }
    selection.restart(wanted)
    builder.finish()
    this.#remember(transaction)
  }

  async #read(updates: TableUpdates, session: OvsdbSession): Promise<RowChange[]> {
    const changes: RowChange[] = []
    await this.#each(updates.changes, session, (change) => changes.push(change))
    return changes
  }

  /** Takes rows for a slice of time, then lets the guests' requests have theirs. */
  async #each(
    changes: Iterable<RowChange>,
    session: OvsdbSession,
    take: (change: RowChange) => void,
  ): Promise<void> {
    let until = this.#clock.now() + sliceOfTime
    let count = 0
    for (const change of changes) {
      take(change)
      count += 1
      if (count % rowsPerGlance !== 0 || this.#clock.now() < until) continue
      await nextTurn()
      if (this.#session !== session) throw new OvsdbError('closed', 'The monitor was stopped')
      until = this.#clock.now() + sliceOfTime
    }
  }

  #queue(updates: TableUpdates): void {
    this.#waiting.push(updates)
    if (this.#waiting.length > mostWaiting) {
      throw new OvsdbError('overflow', 'Too many updates wait to be taken in')
    }
    const session = this.#session
    if (this.#isBusy || session === undefined) return
    this.#isBusy = true
    this.#draining = this.#drain(session)
    this.#draining.catch((thrown: unknown) => {
      session.fail(
        thrown instanceof OvsdbError
          ? thrown
          : new OvsdbError('protocol', 'Cannot take in an update', { cause: thrown }),
      )
    })
  }

  async #drain(session: OvsdbSession): Promise<void> {
    for (;;) {
      const updates = this.#waiting.shift()
      if (updates === undefined) break
      this.#apply(updates, await this.#read(updates, session))
    }
    this.#isBusy = false
  }

  #apply(updates: TableUpdates, changes: readonly RowChange[]): void {
    const before = this.#lastTransaction
    // Should the consumer fail in between, its copy is of no known transaction.
    this.forget()
    this.spec.consumer.apply(changes)
    if (this.#method.request !== 'monitor_cond_since') return
    this.#lastTransaction = before
    this.#remember(updates.words[1])
  }

  #remember(transaction: unknown): void {
    this.#lastTransaction = typeof transaction === 'string' ? transaction : noTransaction
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
