/** What is an entry of an option table, and what happens when the values given for it are read? */
import { isMapping } from '../runtime/mapping.ts'

/** Where a value was written. */
export type Origin =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line?: number }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly text: string }

/** Keys from the top of the table, as written: `['agent', 'timeout_connect']`, with numbers for places in a list. */
export type Keys = readonly (string | number)[]

/** One place that values come from. A higher rank wins. */
export interface Source {
  readonly rank: number
  originOf(keys: Keys): Origin
  /** What relative paths are relative to. */
  readonly directory: string
}

/** A value that was given, before it was read. */
export interface Given {
  readonly value: unknown
  readonly keys: Keys
  readonly source: Source
  /** True for environment variables and flags, where a number arrives as its digits and a list as JSON. */
  readonly fromText: boolean
}

/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** `agent.timeout_connect`, `directories[0].kind`, or the name of a variable. */
  readonly path: string
  /** What is wrong, as the rest of a sentence: `"fast" is not a duration such as 500ms`. */
  readonly message: string
  readonly origin?: Origin
}

/** The value that counts for one option, for reports. */
export interface ConfigRow {
  readonly path: string
  /** Secrets stay `Secret` objects, which print as `[redacted]`. */
  readonly value: unknown
  /** The value as an operator would write it. */
  readonly text: string
  readonly origin: Origin
  readonly secret: boolean
  readonly help: string
}

/** What reading reports, and what it may look up. */
export interface ReadContext {
  readonly keys: Keys
  at(key: string | number): ReadContext
  /** What variables and flags give for exactly these keys. */
  givenFor(keys: Keys): readonly Given[]
  /** Whether any variable or flag names something below these keys. */
  isGivenBelow(keys: Keys): boolean
  problem(message: string, given?: Given): void
  warn(message: string, given?: Given): void
  /** Called by a leaf of the table with the value that counts. */
  settle(entry: Entry<unknown>, value: unknown, origin: Origin): void
  /** The same context for what is inside a list or record: it reports problems but makes no rows of its own. */
  inside(): ReadContext
}

/** Stands for a value that could not be read; the problem has been reported. */
export const invalid: unique symbol = Symbol('invalid')
/** See {@link invalid}. */
export type Invalid = typeof invalid

/** One entry of an option table: an option, or a section of further entries. */
export interface Entry<Value> {
  /** What may be written, as a noun phrase: `a whole number from 1 to 64`. */
  readonly expected: string
  /** The kind of value in a word or two, for tables: `duration`. */
  readonly type: string
  readonly help: string
  readonly unit?: string
  readonly secret: boolean
  readonly required: boolean
  /** The default as one would write it in the file; absent where there is none. */
  readonly default?: unknown
  /** The entries of a section. */
  readonly table?: Table
  /** What each item of a list or record is. */
  readonly item?: Entry<unknown>
  /** How an item's place is shown: `[]` or `.NAME`. */
  readonly itemPath?: string
  /** The names under which the value may be written when the table calls it `key`. */
  names(key: string): readonly string[]
  /** Reads what was given, the last one wins; problems go to the context. */
  read(given: readonly Given[], context: ReadContext): Value | Invalid
  /** A value as an operator would write it. */
  show(value: unknown): string
  /**
   * A value for JSON, where it is not the one that the program uses: a file mode is the text `0600` and not 384.
   * @default the value itself
   */
  plain?(value: unknown): unknown
  /**
   * For options of a range: the value nearest to one that lies outside, as one would write it.
   * @returns `undefined` when the value is taken as it is, or is none of the form
   */
  nearest?(value: unknown): string | number | undefined
}

/** An option table: snake_case keys, each an option or a section. */
export interface Table {
  readonly [key: string]: Entry<unknown>
}

/** The type of the value that an entry reads. */
export type ValueOf<E> = E extends Entry<infer Value> ? Value : never
/** The type of the configuration that an option table describes. */
export type ConfigOf<T extends Table> = { readonly [K in keyof T]: ValueOf<T[K]> }

/** `['directories', 0, 'kind']` as `directories[0].kind`. */
export function pathText(keys: Keys): string {
  return keys.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

/** A value for an error message: JSON, cut where it becomes long. */
export function shownInput(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (isMapping(value)) return 'a mapping'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text
}
