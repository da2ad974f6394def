/** Where do tests leave what is to be printed at the end? */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { textTable } from '../../lib/observe/text-table.ts'
import type { Place } from './place.ts'

interface Row {
  readonly table: string
  readonly cells: Readonly<Record<string, string | number>>
}

function fileOf(place: Place): string {
  return join(place.folder, 'results.jsonl')
}

/** Forgets what an earlier run left. */
export function clearResults(place: Place): void {
  rmSync(fileOf(place), { force: true })
}

/** Adds a row to a table; the columns of a table are those of its first row. */
export function addResult(place: Place, table: string, cells: Row['cells']): void {
  const row: Row = { table, cells }
  appendFileSync(fileOf(place), `${JSON.stringify(row)}\n`)
}

/** Every table, as text. */
export function resultsText(place: Place): string {
  if (!existsSync(fileOf(place))) return ''
  const lines = readFileSync(fileOf(place), 'utf8').trim().split('\n')
  const rows = lines.map((line) => JSON.parse(line) as Row)
  return [...new Set(rows.map(({ table }) => table))]
    .map((table) => {
      const own = rows.filter((row) => row.table === table).map(({ cells }) => cells)
      const columns = Object.keys(own[0] ?? {})
      const body = own.map((cells) => columns.map((column) => String(cells[column] ?? '')))
      return `\n${table}\n${textTable([columns, ...body])}`
    })
    .join('')
}
