/** Which rows does a monitor select, as wanted and as a server applies it? */
import type { Milliseconds } from '../runtime/clock.ts'
import { OvsdbError } from './ovsdb-error.ts'
import type { OvsdbSession } from './session.ts'

/** Conditions by table; rows that match any of them are copied. `[false]` selects none. @see RFC 7047 §5.1 */
export type Conditions = Readonly<Record<string, readonly unknown[]>>

/** Of no table a row. */
export function noRows(tables: Readonly<Record<string, unknown>>): Conditions {
  return Object.fromEntries(Object.keys(tables).map((table) => [table, [false]]))
}

/**
 * The conditions of one monitor over many sessions. One change is under way at a time; what is wanted meanwhile follows in
 * one more.
 */
export class RowSelection {
  readonly #name: string
  #wanted: Conditions
  #applied: Conditions
  #sent: Conditions | undefined
  /** Where changes are under way. */
  #session: OvsdbSession | undefined

  /** @param name of the monitor */
  constructor(name: string, tables: Readonly<Record<string, unknown>>) {
    this.#name = name
    this.#wanted = noRows(tables)
    this.#applied = this.#wanted
  }

  /** What the copy is of: a server has applied them, and its rows have arrived. */
  get applied(): Conditions {
    return this.#applied
  }

  /** What the copy is becoming; rows of {@link applied} alone may be gone already. */
  get sent(): Conditions | undefined {
    return this.#sent
  }

  want(conditions: Conditions): void {
    this.#wanted = conditions
  }

  get wanted(): Conditions {
    return this.#wanted
  }

  /**
   * A session begins. A change that the last session left unanswered may have been applied or not.
   * @returns whether the copy can still be resumed
   */
  begin(): boolean {
    this.#session = undefined
    return this.#sent === undefined
  }

  /** The copy was brought whole under these conditions. */
  restart(conditions: Conditions): void {
    this.#applied = conditions
    this.#sent = undefined
  }

  /**
   * Sends what is wanted and not applied, until nothing is left. Rows come before the answer (ovsdb-server(7) §4.1.13), so that
   * an answer means that all of them have arrived.
   * @param taken resolves when everything that has arrived is in the copy
   * @param changed called after each step
   * @throws OvsdbError when the session ends or the server refuses
   */
  async settle(
    session: OvsdbSession,
    limit: Milliseconds,
    taken: () => Promise<void>,
    changed: () => void,
  ): Promise<void> {
    if (this.#session === session) return
    this.#session = session
    while (this.#wanted !== this.#applied) {
      const wanted = this.#wanted
      const differing = this.#differing(wanted)
      if (Object.keys(differing).length > 0) {
        this.#sent = wanted
        changed()
        await session.request('monitor_cond_change', [this.#name, this.#name, differing], limit)
        await taken()
        if (this.#session !== session) throw new OvsdbError('closed', 'Another session has begun')
        this.#sent = undefined
      }
      this.#applied = wanted
      changed()
    }
    this.#session = undefined
  }

  /** All of its conditions as a request. */
  request(conditions: Conditions): readonly unknown[] {
    return [this.#name, this.#name, requests(Object.entries(conditions))]
  }

  #differing(wanted: Conditions): Record<string, unknown> {
    const tables = Object.entries(wanted).filter(
      ([table, where]) => JSON.stringify(where) !== JSON.stringify(this.#applied[table]),
    )
    return requests(tables)
  }
}

function requests(tables: readonly [string, readonly unknown[]][]): Record<string, unknown> {
  return Object.fromEntries(tables.map(([table, where]) => [table, [{ where }]]))
}
