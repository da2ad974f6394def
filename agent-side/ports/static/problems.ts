import { pathText } from '../../../lib/config/entry.ts'
import type { YamlDocument } from '../../../lib/files/yaml.ts'
import { terminalText } from '../../../lib/observe/text-table.ts'

type Keys = readonly (string | number)[]

/** A file of ports that cannot be used, with everything that is wrong with it, one line each. */
export class StaticFileError extends Error {
  override readonly name = 'StaticFileError'
  readonly problems: readonly string[]

  constructor(file: string, problems: readonly string[]) {
    const [first = ''] = problems
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
    super(terminalText(`Cannot use the file "${file}": ${first}${more}`))
    this.problems = problems
  }
}

/** Collects what is wrong with one file, so that all of it can be reported at once. */
export class Problems {
  readonly #file: string
  readonly #lineOf: YamlDocument['lineOf']
  readonly #found: string[] = []
  readonly #references: string[] = []

  constructor(file: string, lineOf: YamlDocument['lineOf']) {
    this.#file = file
    this.#lineOf = lineOf
  }

  add(keys: Keys, message: string): void {
    this.#found.push(this.#text(keys, message))
  }

  /** A reference that leads nowhere. It is only reported when everything could be read: what it means may be the broken part. */
  addReference(keys: Keys, message: string): void {
    this.#references.push(this.#text(keys, message))
  }

  /** @throws {StaticFileError} when there are any */
  throwIfAny(): void {
    const all = this.#found.length > 0 ? this.#found : this.#references
    if (all.length > 0) throw new StaticFileError(this.#file, all)
  }

  #text(keys: Keys, message: string): string {
    const line = this.#lineOf(keys)
    const where = line === undefined ? '' : ` (line ${line})`
    return keys.length === 0 ? message : `${pathText(keys)}: ${message}${where}`
  }
}
