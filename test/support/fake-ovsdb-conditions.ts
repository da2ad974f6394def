/** Which rows does a monitor with conditions select? @see RFC 7047 §5.1 */

/** Columns with values in the wire's form: `'text'`, `['set', […]]`, `['map', […]]`, `['uuid', '…']`. */
export type FakeRow = Readonly<Record<string, unknown>>
/** Rows by table and UUID. */
export type FakeTables = Readonly<Record<string, Readonly<Record<string, FakeRow>>>>

/** By table: a row is selected when any of them matches; a table without conditions is selected whole. */
export type FakeConditions = Readonly<Record<string, readonly unknown[] | undefined>>

function pairsOf(value: unknown): readonly (readonly [string, string])[] {
  return Array.isArray(value) && value[0] === 'map' ? (value[1] as [string, string][]) : []
}

function matches(uuid: string, row: FakeRow, condition: unknown): boolean {
  if (typeof condition === 'boolean') return condition
  const [column, operator, value] = condition as [string, string, unknown]
  const held = column === '_uuid' ? ['uuid', uuid] : row[column]
  if (operator === '==') return JSON.stringify(held) === JSON.stringify(value)
  if (operator !== 'includes') throw new Error(`unknown function ${operator}`)
  const pairs = pairsOf(held)
  return pairsOf(value).every(([key, text]) =>
    pairs.some((one) => one[0] === key && one[1] === text),
  )
}

/** The rows that the conditions select. */
export function selectedRows(tables: FakeTables, conditions: FakeConditions): FakeTables {
  return Object.fromEntries(
    Object.entries(tables).map(([table, rows]) => {
      const where = conditions[table]
      if (where === undefined) return [table, rows]
      const selected = Object.entries(rows).filter(([uuid, row]) =>
        where.some((condition) => matches(uuid, row, condition)),
      )
      return [table, Object.fromEntries(selected)]
    }),
  )
}
