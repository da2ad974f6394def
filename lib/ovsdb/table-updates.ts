import { isMapping } from '../runtime/mapping.ts'
import { JsonCursor } from './json-cursor.ts'
import type { Row } from './notation.ts'
import { OvsdbError } from './ovsdb-error.ts'
import { LongJson } from './rpc-message.ts'

/**
 * What became of one row. `put` is the whole row, new or not; `modify` a difference to be applied by
 * the rules of `row-diff.ts`.
 */
export type RowChange =
  | { readonly kind: 'put'; readonly table: string; readonly uuid: string; readonly row: Row }
  | { readonly kind: 'modify'; readonly table: string; readonly uuid: string; readonly row: Row }
  | { readonly kind: 'delete'; readonly table: string; readonly uuid: string }

/** Reads a `<row-update2>` or, from servers before 2.6, a `<row-update>` of RFC 7047 §4.1.6. */
function readRowUpdate(table: string, uuid: string, update: unknown): RowChange {
  if (isMapping(update)) {
    const whole = update['initial'] ?? update['insert'] ?? update['new']
    if (isMapping(whole)) return { kind: 'put', table, uuid, row: whole }
    const modify = update['modify']
    if (isMapping(modify)) return { kind: 'modify', table, uuid, row: modify }
    // "delete" holds null or the old row, and the older form only "old".
    if ('delete' in update || 'old' in update) return { kind: 'delete', table, uuid }
  }
  throw new OvsdbError('protocol', 'An update of a row is neither insert, modify nor delete')
}

function* ofParsed(updates: unknown): Generator<RowChange, void, void> {
  if (!isMapping(updates)) throw new OvsdbError('protocol', 'The updates are no object')
  for (const [table, rows] of Object.entries(updates)) {
    if (!isMapping(rows)) throw new OvsdbError('protocol', 'The updates of a table are no object')
    for (const [uuid, update] of Object.entries(rows)) yield readRowUpdate(table, uuid, update)
  }
}

function* ofCursor(cursor: JsonCursor): Generator<RowChange, void, void> {
  for (const table of cursor.members()) {
    for (const uuid of cursor.members()) yield readRowUpdate(table, uuid, cursor.read())
  }
}

/** The rows of an answer or notification, and the words before them. */
export interface TableUpdates {
  /** What stood before the updates: `[found, last-txn-id]`, or `[monitor-id, last-txn-id]`. */
  readonly words: readonly unknown[]
  /** Read only once, and may throw on the way. Long ones may be read with pauses. */
  readonly changes: Iterable<RowChange>
  readonly isLong: boolean
}

/** Reads `<table-updates>` that come as the last of `1 + words` items, or bare when `words` is 0. */
export function readTableUpdates(value: unknown, words: number): TableUpdates {
  if (!(value instanceof LongJson)) {
    if (words === 0) return { words: [], changes: ofParsed(value), isLong: false }
    if (!Array.isArray(value)) throw new OvsdbError('protocol', 'The updates have no envelope')
    return { words: value.slice(0, words), changes: ofParsed(value[words]), isLong: false }
  }
  const cursor = new JsonCursor(value.bytes)
  if (words === 0) return { words: [], changes: ofCursor(cursor), isLong: true }
  const items = cursor.items()
  const read: unknown[] = []
  for (let place = 0; place < words; place += 1) {
    items.next()
    read.push(cursor.read())
  }
  items.next()
  return { words: read, changes: ofCursor(cursor), isLong: true }
}
