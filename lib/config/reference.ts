import { environmentName } from './table-names.ts'
import type { Entry, Keys, Table } from './entry.ts'
import { isMapping } from '../runtime/mapping.ts'

/** What options are there? The documentation's answer, made from the table that reads them. */

interface ReferenceRow {
  readonly path: string
  readonly entry: Entry<unknown>
  /** The variable, where one value can be given by one. */
  readonly environment: string | undefined
}

function rowsOf(
  table: Table,
  prefix: string,
  above: Keys,
  shownAbove: string,
  isInside: boolean,
): readonly ReferenceRow[] {
  return Object.entries(table).flatMap(([key, entry]) => {
    const written = entry.secret ? `${key}_file` : key
    const path = shownAbove === '' ? written : `${shownAbove}.${written}`
    const keys = [...above, key]
    const inside = (inner: Table, shown: string): readonly ReferenceRow[] =>
      rowsOf(inner, prefix, keys, shown, true)
    if (entry.table !== undefined) return rowsOf(entry.table, prefix, keys, path, isInside)
    const environment = isInside ? undefined : environmentName(prefix, [...above, written])
    const item = entry.item
    const itemPath = `${path}${entry.itemPath ?? ''}`
    return [
      { path, entry, environment },
      ...(item?.table === undefined ? [] : inside(item.table, itemPath)),
    ]
  })
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

/** The description of one option. */
export interface OptionText {
  /** `limits.body_bytes` */
  readonly key: string
  readonly form: string
  /** The default as YAML; absent where there is none. */
  readonly fallback: string | undefined
  readonly isRequired: boolean
  /** The variable, where one value can be given by one. */
  readonly variable: string | undefined
  readonly help: string
}

/** Every option of a table, in its order. */
export function optionTexts(table: Table, environmentPrefix: string): readonly OptionText[] {
  return rowsOf(table, environmentPrefix, [], '', false).map(({ path, entry, environment }) => ({
    key: path,
    form: entry.unit === undefined ? entry.expected : `${entry.expected} (${entry.unit})`,
    fallback: entry.default === undefined ? undefined : yamlScalar(entry.default),
    isRequired: entry.required,
    variable: environment,
    help: entry.help,
  }))
}

/** A Markdown table of every option: key, form, default, variable and help. */
export function referenceMarkdown(table: Table, environmentPrefix: string): string {
  const rows = optionTexts(table, environmentPrefix).map((option) => {
    const given = option.isRequired ? '**must be given**' : '–'
    const fallback = option.fallback === undefined ? given : `\`${option.fallback}\``
    const variable = option.variable === undefined ? '' : `\`${option.variable}\``
    return `| \`${option.key}\` | ${cell(option.form)} | ${cell(fallback)} | ${variable} | ${cell(option.help)} |`
  })
  return [
    '| key | form | default | variable | what for |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ]
    .join('\n')
    .concat('\n')
}

function yamlScalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value)
  // Quotes where YAML would read something else than this text.
  return /^[A-Za-z/][\w./@-]*$/.test(value) && !/^(?:true|false|null)$/i.test(value)
    ? value
    : JSON.stringify(value)
}

function comment(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + word.length >= width) {
      lines.push(line)
      line = ''
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

function sampleLines(table: Table, indent: string): readonly string[] {
  return Object.entries(table).flatMap(([key, entry]) => {
    const words = entry.table === undefined ? `${entry.help} Form: ${entry.expected}.` : entry.help
    const help = comment(words, 96 - indent.length).map((line) => `${indent}# ${line}`)
    if (entry.table !== undefined) {
      // An absent section must stay absent: its name is a comment as well when it may be left out.
      return [...help, `${indent}${key}:`, ...sampleLines(entry.table, `${indent}  `), '']
    }
    const written = entry.secret ? `${key}_file` : key
    const { default: value } = entry
    const isEmptyValue =
      value === undefined || (isMapping(value) && Object.keys(value).length === 0)
    const shown = isEmptyValue ? '' : ` ${yamlScalar(value)}`
    return [...help, `${indent}# ${written}:${shown}`]
  })
}

/** A commented YAML file with every option at its default; each one is a comment until the operator removes the `#`. */
export function sampleYaml(table: Table): string {
  return `${sampleLines(table, '').join('\n').trimEnd()}\n`
}
