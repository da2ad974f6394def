import type { CopyBuilder, MonitorConsumer } from './monitor.ts'
import { readInteger, readString, readStringMap, readStringSet, readUuidSet } from './notation.ts'
import { OvsdbError } from './ovsdb-error.ts'
import { applyMapDiff, applySetDiff } from './row-diff.ts'
import type { RowChange } from './table-updates.ts'

/** What columns hold: one number, one string, a set of them, references of at most one or of many, a map of strings. */
export interface ColumnValues {
  readonly number: number
  readonly text: string
  readonly texts: readonly string[]
  /** A set of at most one: its difference is the new value. */
  readonly reference: string | undefined
  /** UUIDs of rows. */
  readonly references: readonly string[]
  readonly map: ReadonlyMap<string, string>
}
/** One word of {@link ColumnValues}. */
export type ColumnKind = keyof ColumnValues

/** Columns of a table and what each holds. */
export type Columns = Readonly<Record<string, ColumnKind>>
/** A row as these columns make it. */
export type CopiedRow<C extends Columns> = { readonly [Name in keyof C]: ColumnValues[C[Name]] }
type AnyRow = Readonly<Record<string, ColumnValues[ColumnKind]>>
type Tables = Map<string, Map<string, AnyRow>>

const emptyValues: ColumnValues = {
  number: 0,
  text: '',
  texts: [],
  reference: undefined,
  references: [],
  map: new Map(),
}

/**
 * Whole rows of some tables by their UUIDs, for whoever has few of them; one transaction at a time. `changed` is called after each
 * transaction and each new copy.
 */
export class RowCopy<Schema extends Readonly<Record<string, Columns>>> implements MonitorConsumer {
  readonly #schema: Schema
  readonly #changed: () => void
  #tables: Tables = new Map()
  #isComplete = false

  constructor(schema: Schema, changed: () => void) {
    this.#schema = schema
    this.#changed = changed
  }

  /** Whether there ever was a complete copy. */
  get isComplete(): boolean {
    return this.#isComplete
  }

  rows<Name extends keyof Schema & string>(
    name: Name,
  ): ReadonlyMap<string, CopiedRow<Schema[Name]>> {
    return (this.#tables.get(name) ?? new Map()) as ReadonlyMap<string, CopiedRow<Schema[Name]>>
  }

  /** Called by the client. */
  startCopy(): CopyBuilder {
    const fresh: Tables = new Map()
    return {
      add: (change) => this.#take(fresh, change),
      finish: () => {
        this.#tables = fresh
        this.#isComplete = true
        this.#changed()
      },
    }
  }

  /** Called by the client. @throws OvsdbError `protocol` for a row that cannot be read, or a difference to one that is not there */
  apply(changes: readonly RowChange[]): void {
    for (const change of changes) this.#take(this.#tables, change)
    this.#changed()
  }

  #take(tables: Tables, change: RowChange): void {
    const columns = this.#schema[change.table]
    if (columns === undefined) return
    const rows = tables.get(change.table) ?? new Map<string, AnyRow>()
    tables.set(change.table, rows)
    if (change.kind === 'delete') {
      rows.delete(change.uuid)
      return
    }
    const before = change.kind === 'modify' ? rows.get(change.uuid) : {}
    if (before === undefined) {
      throw new OvsdbError('protocol', 'A difference came for a row that is not in the copy')
    }
    const after: Record<string, ColumnValues[ColumnKind]> = {}
    for (const [name, kind] of Object.entries(columns)) {
      // A row leaves out what has its type's default value.
      const old = before[name] ?? emptyValues[kind]
      const given = change.row[name]
      after[name] = given === undefined ? old : merged(kind, old, given, change.kind === 'modify')
    }
    rows.set(change.uuid, after)
  }
}

function merged(
  kind: ColumnKind,
  old: ColumnValues[ColumnKind],
  given: unknown,
  isDifference: boolean,
): ColumnValues[ColumnKind] {
  if (kind === 'number') return readInteger(given)
  if (kind === 'text') return readString(given)
  if (kind === 'reference') return readUuidSet(given)[0]
  if (kind === 'map') {
    return mergedMap(old as ReadonlyMap<string, string>, readStringMap(given), isDifference)
  }
  const items = kind === 'texts' ? readStringSet(given) : readUuidSet(given)
  return isDifference ? applySetDiff(old as readonly string[], items) : items
}

function mergedMap(
  old: ReadonlyMap<string, string>,
  pairs: readonly (readonly [string, string])[],
  isDifference: boolean,
): ReadonlyMap<string, string> {
  const map = new Map(isDifference ? old : [])
  for (const [key, value] of pairs) {
    const now = isDifference ? applyMapDiff(map.get(key), value) : value
    if (now === undefined) map.delete(key)
    else map.set(key, now)
  }
  return map
}
