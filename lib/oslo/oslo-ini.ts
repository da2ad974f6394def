/** What does an oslo.config file hold, before an option is read? */

/** One assignment: its value with continuation lines joined by line ends, and the line it began on, from 1. */
export interface OsloAssignment {
  readonly value: string
  readonly line: number
}

/** Names as written, each with its assignments in order. */
export type OsloSection = ReadonlyMap<string, readonly OsloAssignment[]>

/** One parsed file. */
export interface OsloFile {
  readonly file: string
  /** By name: `DEFAULT` as it is, every other in lower case, as oslo.config compares them. */
  readonly sections: ReadonlyMap<string, OsloSection>
}

/** A file that oslo.config would refuse. The message has the line: `neutron.conf:12: …`. */
export class OsloParseError extends Error {
  override readonly name = 'OsloParseError'
  readonly file: string
  readonly line: number

  constructor(file: string, line: number, problem: string) {
    super(`${file}:${line}: ${problem}`)
    this.file = file
    this.line = line
  }
}

/** What Python's `str.strip()` removes; JavaScript's `trim()` differs in the separators and the byte order mark. */
const space =
  '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]'
const leading = new RegExp(`^${space}+`)
const trailing = new RegExp(`${space}+$`)

function trimEnd(text: string): string {
  return text.replace(trailing, '')
}

/** Strips white space as Python does. */
export function stripped(text: string): string {
  return trimEnd(text).replace(leading, '')
}

/** `DEFAULT` is the only section whose case counts. */
export function sectionName(name: string): string {
  return name === 'DEFAULT' ? name : name.toLowerCase()
}

/** Takes away one pair of equal quotes around the value. A lone quote is an empty value. */
function unquoted(value: string): string {
  const first = value[0]
  const isQuoted = (first === '"' || first === "'") && value.at(-1) === first
  return isQuoted ? value.slice(1, -1) : value
}

function splitAssignment(line: string): readonly [key: string, value: string] | undefined {
  const at = line.search(/[:=]/)
  if (at < 0) return undefined
  return [stripped(line.slice(0, at)), unquoted(stripped(line.slice(at + 1)))]
}

/**
 * Parses one file by oslo.config's rules, which are not those of other INI readers: `#` and `;` begin a comment only at
 * the start of a line and belong to the value elsewhere; an indented line continues the value before it; an empty
 * line ends it; `=` or `:` separates, whichever comes first; a name may be given several times.
 * @throws {OsloParseError}
 * @see oslo_config/iniparser.py
 */
export function parseOsloIni(text: string, file: string): OsloFile {
  const sections = new Map<string, Map<string, OsloAssignment[]>>()
  let section: Map<string, OsloAssignment[]> | undefined
  let open: { key: string; lines: string[]; line: number } | undefined

  function close(): void {
    if (open === undefined || section === undefined) return
    const assignment = { value: open.lines.join('\n'), line: open.line }
    const before = section.get(open.key)
    if (before === undefined) section.set(open.key, [assignment])
    else before.push(assignment)
    open = undefined
  }

  for (const [index, raw] of text.split(/\r\n|\r|\n/).entries()) {
    const line = trimEnd(raw)
    const number = index + 1
    if (line === '') {
      close()
    } else if (line.startsWith(' ') || line.startsWith('\t')) {
      if (open === undefined) throw new OsloParseError(file, number, 'nothing is continued here')
      open.lines.push(line.replace(leading, ''))
    } else {
      close()
      if (line.startsWith('[')) {
        if (!line.endsWith(']')) throw new OsloParseError(file, number, 'a section ends with "]"')
        if (line.length <= 2) throw new OsloParseError(file, number, 'the section has no name')
        const name = sectionName(line.slice(1, -1))
        section = sections.get(name) ?? new Map<string, OsloAssignment[]>()
        sections.set(name, section)
      } else if (!line.startsWith('#') && !line.startsWith(';')) {
        const [key, value = ''] = splitAssignment(line) ?? []
        if (key === undefined) throw new OsloParseError(file, number, 'there is no "=" or ":"')
        if (key === '') throw new OsloParseError(file, number, 'there is no name before the value')
        if (section === undefined) {
          throw new OsloParseError(file, number, 'a value stands before the first section')
        }
        open = { key, lines: [value], line: number }
      }
    }
  }
  close()
  return { file, sections }
}
