/** How does an OVSDB server tell that its tables changed? */

import {
  selectedRows,
  type FakeConditions,
  type FakeRow,
  type FakeTables,
} from './fake-ovsdb-conditions.ts'

/** What a client asked to be told of. */
export interface FakeMonitor {
  readonly id: unknown
  readonly kind: 'update' | 'update2' | 'update3'
  readonly columns: Readonly<Record<string, readonly string[]>>
  conditions: FakeConditions
}

function elements(value: unknown): readonly unknown[] {
  const [tag, items] = Array.isArray(value) ? (value as unknown[]) : []
  if (tag === 'set' || tag === 'map') return items as unknown[]
  return [value]
}

/** How monitor_cond tells that a column changed. @see ovsdb-server(7) §4.1.14 */
function columnDifference(before: unknown, after: unknown): unknown {
  const tag = Array.isArray(after) ? (after as unknown[])[0] : undefined
  const beforeTag = Array.isArray(before) ? (before as unknown[])[0] : undefined
  if (tag === 'map') {
    const old = new Map(elements(before ?? ['map', []]) as [string, string][])
    const now = new Map(elements(after) as [string, string][])
    const gone = [...old].filter(([key]) => !now.has(key))
    const come = [...now].filter(([key, value]) => old.get(key) !== value)
    return ['map', [...gone, ...come]]
  }
  if (tag === 'set' || beforeTag === 'set') {
    const old = before === undefined ? [] : elements(before)
    const now = elements(after)
    return [
      'set',
      [...old.filter((one) => !now.includes(one)), ...now.filter((one) => !old.includes(one))],
    ]
  }
  return after
}

/** Columns that are sets in the schema, although a set of one is sent bare. */
const setColumns = new Set(['mac'])

function rowDifference(before: FakeRow, after: FakeRow, columns: readonly string[]): FakeRow {
  const changed = columns.filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  )
  return Object.fromEntries(
    changed.map((name) => {
      const isSet = setColumns.has(name)
      const old = isSet
        ? ['set', before[name] === undefined ? [] : elements(before[name])]
        : before[name]
      const now = isSet
        ? ['set', after[name] === undefined ? [] : elements(after[name])]
        : after[name]
      return [name, columnDifference(old, now)]
    }),
  )
}

function pick(row: FakeRow, columns: readonly string[]): FakeRow {
  return Object.fromEntries(columns.filter((name) => name in row).map((name) => [name, row[name]]))
}

/** What a monitor is told when the tables change, or at first. */
export function differences(
  allBefore: FakeTables,
  allAfter: FakeTables,
  { kind, columns, conditions }: FakeMonitor,
  { isInitial = false, formerly = conditions } = {},
): Record<string, Record<string, unknown>> {
  const before = selectedRows(allBefore, formerly)
  const after = selectedRows(allAfter, conditions)
  const updates: Record<string, Record<string, unknown>> = {}
  const add = (table: string, uuid: string, update: unknown): void => {
    const rows = (updates[table] ??= {})
    rows[uuid] = update
  }
  for (const [table, wanted] of Object.entries(columns)) {
    const old = before[table] ?? {}
    const now = after[table] ?? {}
    for (const [uuid, row] of Object.entries(old)) {
      if (!(uuid in now))
        add(table, uuid, kind === 'update' ? { old: pick(row, wanted) } : { delete: null })
    }
    for (const [uuid, row] of Object.entries(now)) {
      const previous = old[uuid]
      if (previous === undefined) {
        const whole = pick(row, wanted)
        add(
          table,
          uuid,
          kind === 'update' ? { new: whole } : { [isInitial ? 'initial' : 'insert']: whole },
        )
      } else {
        const difference = rowDifference(previous, row, wanted)
        if (Object.keys(difference).length === 0) continue
        add(
          table,
          uuid,
          kind === 'update' ? { old: difference, new: pick(row, wanted) } : { modify: difference },
        )
      }
    }
  }
  return updates
}
