/** Which value counts for an option when OpenStack's own files are read? */
import { sectionName, type OsloAssignment, type OsloFile } from './oslo-ini.ts'
import { osloValue, type OsloOption, type OsloValue } from './oslo-option.ts'

/** Where a value was written, and under which older name if it was. */
export interface OsloOrigin {
  readonly file: string
  readonly line: number
  readonly deprecatedName?: string
}

/** What counts for one option. Without origin it is the default. */
export interface OsloReading {
  readonly value: OsloValue
  readonly origin?: OsloOrigin
}

/** A value that cannot be used: of the wrong type, or with a `$name` that stands for nothing. */
export class OsloValueError extends Error {
  override readonly name = 'OsloValueError'
  readonly origin: OsloOrigin | undefined

  constructor(option: OsloOption, problem: string, origin: OsloOrigin | undefined) {
    const where = origin === undefined ? 'default' : `${origin.file}:${origin.line}`
    super(`${where}: [${option.group}] ${option.name}: ${problem}`)
    this.origin = origin
  }
}

/** Something that stands in a file and that no option reads. */
export interface UnknownSetting {
  readonly group: string
  readonly name: string
  readonly origin: OsloOrigin
}

interface Found {
  readonly texts: readonly string[]
  readonly origin: OsloOrigin
}

interface Named {
  readonly group: string
  readonly name: string
}

/** `$name`, `${name}`, `${group.name}` and `$$`, as Python's string templates with oslo.config's names. */
const variable =
  /\$(?:(?<escaped>\$)|(?<named>[_a-z][._a-z0-9]*)|\{(?<braced>[_a-z][._a-z0-9]*)\})/gi

/** Substitution in circles must end. */
const deepest = 20

function namesOf(option: OsloOption): readonly Named[] {
  const older = (option.deprecated ?? []).map(({ group, name }) => ({
    group: sectionName(group ?? option.group),
    name: name ?? option.name,
  }))
  return [{ group: sectionName(option.group), name: option.name }, ...older]
}

function optionKey({ group, name }: Named): string {
  return `${sectionName(group)} ${name}`
}

/**
 * Several files and the options that the caller knows. Later files win over earlier ones, the last assignment within a
 * file over those before, except for options that may be given several times.
 * @see oslo_config/cfg.py
 */
export class OsloConfig {
  readonly #files: readonly OsloFile[]
  readonly #options: ReadonlyMap<string, OsloOption>

  constructor(files: readonly OsloFile[], options: readonly OsloOption[]) {
    this.#files = files
    this.#options = new Map(options.map((option) => [optionKey(option), option]))
  }

  /** @throws {OsloValueError} */
  read(option: OsloOption): OsloReading {
    return this.#read(option, 0)
  }

  /** What is set in the files although none of the options has that name. */
  unknown(): readonly UnknownSetting[] {
    const known = new Set([...this.#options.values()].flatMap(namesOf).map(optionKey))
    return this.#files.flatMap(({ file, sections }) =>
      [...sections].flatMap(([group, section]) =>
        [...section].flatMap(([name, assignments]) => {
          const last = assignments.at(-1)
          if (last === undefined || known.has(optionKey({ group, name }))) return []
          return [{ group, name, origin: { file, line: last.line } }]
        }),
      ),
    )
  }

  #read(option: OsloOption, depth: number): OsloReading {
    const found = option.type === 'multi' ? this.#findAll(option) : this.#findOne(option)
    const texts = found?.texts ?? (option.default === undefined ? [] : [option.default])
    const origin = found?.origin
    try {
      const values = texts.map((text) => this.#substitute(text, option.group, depth))
      const [first] = values
      if (first === undefined) return { value: undefined }
      const value = option.type === 'multi' ? values : osloValue(first, option)
      return { value, ...(origin !== undefined && { origin }) }
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause
      const problem = option.secret === true ? 'its value cannot be used' : cause.message
      throw new OsloValueError(option, problem, origin)
    }
  }

  #findOne(option: OsloOption): Found | undefined {
    for (const file of this.#files.toReversed()) {
      for (const [index, named] of namesOf(option).entries()) {
        const last = assignmentsOf(file, named).at(-1)
        if (last === undefined) continue
        return { texts: [last.value], origin: originOf(file, last, named, index > 0) }
      }
    }
    return undefined
  }

  #findAll(option: OsloOption): Found | undefined {
    const all = this.#files.flatMap((file) =>
      // oslo.config puts the values of older names first.
      namesOf(option)
        .map((named, index) => ({ file, named, index }))
        .toReversed()
        .flatMap(({ named, index }) =>
          assignmentsOf(file, named).map((one) => ({
            text: one.value,
            origin: originOf(file, one, named, index > 0),
          })),
        ),
    )
    const last = all.at(-1)
    return last && { texts: all.map(({ text }) => text), origin: last.origin }
  }

  #substitute(text: string, group: string, depth: number): string {
    if (depth > deepest) throw new RangeError('its variables go in circles')
    return text
      .replaceAll('\\$', '$$$$')
      .replace(variable, (_whole, escaped?: string, named?: string, braced?: string) => {
        if (escaped !== undefined) return '$'
        return this.#variable(named ?? braced ?? '', group, depth)
      })
  }

  #variable(key: string, group: string, depth: number): string {
    const dot = key.indexOf('.')
    const candidates =
      dot < 0
        ? [
            { group, name: key },
            { group: 'DEFAULT', name: key },
          ]
        : [{ group: key.slice(0, dot), name: key.slice(dot + 1) }]
    for (const named of candidates) {
      const option = this.#options.get(optionKey(named))
      if (option !== undefined) return shown(this.#read(option, depth + 1).value, option)
    }
    // A name that only the file has: oslo.config knows options alone, and its programs end here.
    throw new RangeError(`"$${key}" names no option; write "$$" for a dollar sign`)
  }
}

function assignmentsOf(file: OsloFile, { group, name }: Named): readonly OsloAssignment[] {
  return file.sections.get(group)?.get(name) ?? []
}

function originOf(
  { file }: OsloFile,
  { line }: OsloAssignment,
  { group, name }: Named,
  isDeprecated: boolean,
): OsloOrigin {
  return { file, line, ...(isDeprecated && { deprecatedName: `[${group}] ${name}` }) }
}

/** As Python's `str()`, with which oslo.config fills in what is no text. */
function shown(value: OsloValue, option: OsloOption): string {
  if (value === undefined) return ''
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') {
    return option.type === 'float' && Number.isInteger(value) ? `${value}.0` : String(value)
  }
  if (typeof value === 'string') return value
  const items = value.map((item) => {
    const escaped = item.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
    return escaped.includes("'") ? `"${escaped}"` : `'${escaped}'`
  })
  return `[${items.join(', ')}]`
}
