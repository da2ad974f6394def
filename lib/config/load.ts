import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { readYamlFile, YamlError } from '../files/yaml.ts'
import { ConfigError, problemText } from './config-error.ts'
import { environmentName, tableNames, type TableName } from './table-names.ts'
import { closest } from './suggestion.ts'
import { readTable } from './structure.ts'
import {
  invalid,
  pathText,
  type ConfigOf,
  type ConfigProblem,
  type ConfigRow,
  type Given,
  type Keys,
  type Origin,
  type ReadContext,
  type Source,
  type Table,
} from './entry.ts'

/** Settings that were not written as YAML, in its form. YAML files, variables and flags win over them. */
export interface GivenDocument {
  readonly value: unknown
  /** What relative paths in it are relative to. */
  readonly directory: string
  originOf(keys: Keys): Origin
}

/** Where a configuration comes from. */
export interface LoadOptions<T extends Table> {
  readonly documents?: readonly GivenDocument[] | undefined
  /** YAML files; of several, the later ones win key by key. */
  readonly file?: string | readonly string[] | undefined
  /** Read when no file is named and this one exists. */
  readonly defaultFile?: string | undefined
  /** Usually `process.env`, which nothing else may read. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `OVERLAPD_PROXY`: the key `admin.socket` is then `OVERLAPD_PROXY_ADMIN_SOCKET`, and `OVERLAPD_PROXY_CONFIG` names the file. */
  readonly environmentPrefix: string
  /** What `--set` gave: `admin.socket=/run/x.sock`. */
  readonly set?: readonly string[] | undefined
  /** What no single option can know, checked once everything else is right. */
  check?(config: ConfigOf<T>): readonly ConfigProblem[]
}

/** A configuration that can be used, and the story of how it came to be. */
export interface LoadedConfig<T extends Table> {
  /** Frozen through and through. */
  readonly config: ConfigOf<T>
  /** The effective value of each option and where it came from, in the order of the table. */
  readonly rows: readonly ConfigRow[]
  /** One sentence each; log them at start. */
  readonly warnings: readonly string[]
  /** The files that were read. */
  readonly files: readonly string[]
}

interface Gathered {
  readonly given: Given[]
  readonly problems: ConfigProblem[]
}

function filesOf(options: LoadOptions<Table>): readonly string[] {
  const named = typeof options.file === 'string' ? [options.file] : (options.file ?? [])
  if (named.length > 0) return named
  const fromEnvironment = options.environment[`${options.environmentPrefix}_CONFIG`]
  if (fromEnvironment !== undefined && fromEnvironment !== '') return [fromEnvironment]
  const { defaultFile } = options
  return defaultFile !== undefined && existsSync(defaultFile) ? [defaultFile] : []
}

function fromFiles(files: readonly string[]): Gathered {
  const gathered: Gathered = { given: [], problems: [] }
  for (const [index, file] of files.entries()) {
    try {
      const document = readYamlFile(file)
      const source: Source = {
        // Below the environment's 1, in the order of the files.
        rank: index / files.length,
        directory: dirname(resolve(file)),
        originOf(keys) {
          const line = document.lineOf(keys)
          return { kind: 'file', file, ...(line !== undefined && { line }) }
        },
      }
      gathered.given.push({ value: document.value, keys: [], source, fromText: false })
    } catch (cause) {
      if (!(cause instanceof YamlError)) throw cause
      gathered.problems.push({ path: '', message: cause.message })
    }
  }
  return gathered
}

function fromDocuments(documents: readonly GivenDocument[]): readonly Given[] {
  return documents.map((document, index) => ({
    value: document.value,
    keys: [],
    fromText: false,
    source: {
      // Above the defaults' -1, below the files' 0.
      rank: (index + 1) / (documents.length + 1) - 1,
      directory: document.directory,
      originOf: (keys) => document.originOf(keys),
    },
  }))
}

function fromEnvironment(names: readonly TableName[], options: LoadOptions<Table>): Gathered {
  const gathered: Gathered = { given: [], problems: [] }
  const prefix = options.environmentPrefix
  const known = new Map(names.map((name) => [environmentName(prefix, name.keys), name.keys]))
  for (const [name, value] of Object.entries(options.environment)) {
    if (!name.startsWith(`${prefix}_`) || name === `${prefix}_CONFIG` || value === undefined)
      continue
    const keys = known.get(name)
    const origin = { kind: 'environment', name } as const
    if (keys === undefined) {
      const near = closest(name, [...known.keys()])
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      gathered.problems.push({ path: name, message: `unknown variable${hint}` })
    } else {
      const source: Source = { rank: 1, directory: process.cwd(), originOf: () => origin }
      gathered.given.push({ value, keys, source, fromText: true })
    }
  }
  return gathered
}

function fromFlags(names: readonly TableName[], options: LoadOptions<Table>): Gathered {
  const gathered: Gathered = { given: [], problems: [] }
  const known = new Map(names.map((name) => [pathText(name.keys), name.keys]))
  for (const [index, text] of (options.set ?? []).entries()) {
    const equals = text.indexOf('=')
    const path = equals === -1 ? text : text.slice(0, equals)
    const keys = known.get(path)
    if (equals <= 0) {
      gathered.problems.push({ path: `--set ${path}`, message: 'expected KEY=VALUE' })
    } else if (keys === undefined) {
      const near = closest(path, [...known.keys()])
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      gathered.problems.push({ path: `--set ${path}`, message: `unknown key${hint}` })
    } else {
      // Only the key is repeated in messages: the value may be a secret.
      const origin = { kind: 'flag', text: `--set ${path}` } as const
      const source: Source = {
        rank: 2 + index / 1e6,
        directory: process.cwd(),
        originOf: () => origin,
      }
      gathered.given.push({ value: text.slice(equals + 1), keys, source, fromText: true })
    }
  }
  return gathered
}

function startsWith(keys: Keys, start: Keys): boolean {
  return keys.length > start.length && start.every((key, index) => keys[index] === key)
}

/** Collects what reading finds, for every place of the table alike. */
class Collector {
  readonly problems: ConfigProblem[] = []
  readonly warnings: string[] = []
  readonly rows: ConfigRow[] = []
  readonly #given: ReadonlyMap<string, readonly Given[]>
  readonly #all: readonly Given[]

  constructor(given: readonly Given[]) {
    this.#all = given
    const byPath = new Map<string, Given[]>()
    for (const one of given) {
      const path = pathText(one.keys)
      byPath.set(path, [...(byPath.get(path) ?? []), one])
    }
    this.#given = byPath
  }

  context(keys: Keys, isInside: boolean): ReadContext {
    const path = pathText(keys)
    return {
      keys,
      at: (key) => this.context([...keys, key], isInside),
      inside: () => this.context(keys, true),
      givenFor: (wanted) => (isInside ? [] : (this.#given.get(pathText(wanted)) ?? [])),
      isGivenBelow: (start) => !isInside && this.#all.some((one) => startsWith(one.keys, start)),
      problem: (message, given) => {
        const origin = given?.source.originOf(given.keys)
        this.problems.push({ path, message, ...(origin && { origin }) })
      },
      warn: (message, given) => {
        const origin = given?.source.originOf(given.keys)
        this.warnings.push(problemText({ path, message, ...(origin && { origin }) }))
      },
      settle: (entry, value, origin) => {
        if (isInside) return
        const { secret, help } = entry
        const plain = entry.plain === undefined ? value : entry.plain(value)
        this.rows.push({ path, value: plain, text: entry.show(value), origin, secret, help })
      },
    }
  }
}

function freezeDeep(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const inner of Object.values(value)) freezeDeep(inner)
}

/**
 * Reads a configuration: defaults, then files, then the environment, then flags, the later winning option by option.
 * @throws {ConfigError} with every problem there is
 */
export function loadConfig<T extends Table>(table: T, options: LoadOptions<T>): LoadedConfig<T> {
  const names = tableNames(table)
  const files = filesOf(options)
  const file = fromFiles(files)
  const environment = fromEnvironment(names, options)
  const flags = fromFlags(names, options)
  const collector = new Collector([...environment.given, ...flags.given])
  const given = [...fromDocuments(options.documents ?? []), ...file.given]
  const config = readTable(table, given, collector.context([], false))
  const problems = [
    ...file.problems,
    // Options of a file that could not be read are not missing, just unseen.
    ...collector.problems.filter((one) => file.problems.length === 0 || one.origin !== undefined),
    ...environment.problems,
    ...flags.problems,
  ]
  if (config === invalid || problems.length > 0) throw new ConfigError(problems)
  const together = options.check?.(config) ?? []
  if (together.length > 0) throw new ConfigError(together)
  freezeDeep(config)
  return { config, rows: collector.rows, warnings: collector.warnings, files }
}
