import { terminalText, textTable } from '../observe/text-table.ts'
import { originText } from './config-error.ts'
import type { ConfigRow } from './entry.ts'
import type { LoadedConfig } from './load.ts'
import type { Table } from './entry.ts'

/** What does a process run with, and where does each value come from? */

function rowText(row: ConfigRow): string {
  const text = terminalText(row.text)
  return text.length > 100 ? `${text.slice(0, 99)}…` : text
}

/** Each effective value and where it came from, one a line, aligned; secrets as `[redacted]` or `(not set)`. */
export function configReport(loaded: Pick<LoadedConfig<Table>, 'rows' | 'warnings'>): string {
  const lines = loaded.rows.map((row) => [row.path, rowText(row), originText(row.origin)])
  const warnings = loaded.warnings.map((warning) => `warning: ${warning}\n`)
  return `${textTable([['OPTION', 'VALUE', 'FROM'], ...lines])}${warnings.join('')}`
}

/** The same as {@link configReport}, for programs. `value` is in base units: milliseconds and bytes. */
export interface ConfigReport {
  readonly files: readonly string[]
  readonly options: readonly {
    readonly path: string
    readonly value: unknown
    readonly text: string
    readonly from: string
  }[]
  readonly warnings: readonly string[]
}

/** The report as data that can be written as JSON; secrets redact themselves. */
export function configReportData(
  loaded: Pick<LoadedConfig<Table>, 'rows' | 'warnings' | 'files'>,
): ConfigReport {
  return {
    files: loaded.files,
    options: loaded.rows.map(({ path, value, text, origin }) => ({
      path,
      value: value ?? null,
      text,
      from: originText(origin),
    })),
    warnings: loaded.warnings,
  }
}
