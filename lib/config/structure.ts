import { closest } from './suggestion.ts'
import {
  invalid,
  pathText,
  shownInput,
  type ConfigOf,
  type Entry,
  type Given,
  type Invalid,
  type ReadContext,
  type Table,
  type ValueOf,
} from './entry.ts'
import { isMapping } from '../runtime/mapping.ts'

/** Entries made of other entries: sections, lists, records, and what may be absent. */

/** Variables and flags carry lists and sections as JSON text. @returns `invalid` after reporting what is not JSON */
function decoded(given: Given, expected: string, context: ReadContext): Given | Invalid {
  if (!given.fromText) return given
  try {
    return { ...given, value: JSON.parse(String(given.value)) as unknown, fromText: false }
  } catch {
    // The text itself is not repeated: it may hold a secret.
    context.problem(`the text is not JSON; expected ${expected}, written as JSON`, given)
    return invalid
  }
}

function decodedAll(
  given: readonly Given[],
  expected: string,
  context: ReadContext,
): readonly Given[] | Invalid {
  const all = given.map((one) => decoded(one, expected, context))
  return all.includes(invalid) ? invalid : all.filter((one) => one !== invalid)
}

function childGiven(parents: readonly Given[], name: string, context: ReadContext): Given[] {
  const keys = [...context.keys, name]
  const own = parents.flatMap((parent) =>
    isMapping(parent.value) && Object.hasOwn(parent.value, name)
      ? [{ ...parent, value: parent.value[name], keys }]
      : [],
  )
  return [...own, ...context.givenFor(keys)].toSorted((a, b) => a.source.rank - b.source.rank)
}

function reportUnknownKeys(given: Given, known: readonly string[], context: ReadContext): void {
  if (!isMapping(given.value)) return
  for (const key of Object.keys(given.value)) {
    if (known.includes(key)) continue
    const near = closest(key, known)
    const keys = [...context.keys, key]
    const hint = near === undefined ? '' : `; did you mean ${pathText([...context.keys, near])}?`
    context.at(key).problem(`unknown key${hint}`, { ...given, keys })
  }
}

/** Reads one key of a table, with its default, or reports that it is missing. */
function readEntry(
  entry: Entry<unknown>,
  key: string,
  parents: readonly Given[],
  context: ReadContext,
): unknown {
  const given = entry.names(key).flatMap((name) => childGiven(parents, name, context))
  given.sort((a, b) => a.source.rank - b.source.rank)
  const inner = context.at(key)
  if (entry.default !== undefined) {
    const source = { rank: -1, directory: '/', originOf: () => ({ kind: 'default' as const }) }
    given.unshift({ value: entry.default, keys: inner.keys, source, fromText: false })
  }
  if (given.length === 0 && entry.required) {
    inner.problem(`must be given: ${entry.expected}`)
    return invalid
  }
  return entry.read(given, inner)
}

/** Reads a whole table from the mappings given for it. */
export function readTable<T extends Table>(
  table: T,
  given: readonly Given[],
  context: ReadContext,
): ConfigOf<T> | Invalid {
  const known = Object.entries(table).flatMap(([key, entry]) => entry.names(key))
  // A key without a value, all its lines commented out, is an empty section.
  const mappings = given.filter((one) => one.value !== null)
  const broken = mappings.filter((one) => !isMapping(one.value))
  for (const one of broken) context.problem(`${shownInput(one.value)} is not a section`, one)
  for (const one of mappings) reportUnknownKeys(one, known, context)
  const values = Object.entries(table).map(
    ([key, entry]) => [key, readEntry(entry, key, mappings, context)] as const,
  )
  if (broken.length > 0 || values.some(([, value]) => value === invalid)) return invalid
  return Object.fromEntries(values) as ConfigOf<T>
}

function plainOf(entry: Entry<unknown>, value: unknown): unknown {
  return entry.plain === undefined ? value : entry.plain(value)
}

function plainTable(table: Table, value: unknown): unknown {
  if (!isMapping(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    const entry = table[key]
    return [key, entry === undefined ? inner : plainOf(entry, inner)] as const
  })
  return Object.fromEntries(entries)
}

/** A section that knows its table. */
export interface Section<T extends Table> extends Entry<ConfigOf<T>> {
  readonly table: T
}

/** Entries that belong together, under a key of their own or as the items of a list. */
export function section<T extends Table>(
  table: T,
  details: { readonly help?: string } = {},
): Section<T> {
  return {
    type: 'section',
    expected: 'a section',
    help: details.help ?? '',
    secret: false,
    required: false,
    table,
    names: (key) => [key],
    read(given, context) {
      const mappings = decodedAll(given, 'a section', context)
      return mappings === invalid ? invalid : readTable(table, mappings, context)
    },
    show: (value) => JSON.stringify(plainTable(table, value)),
    plain: (value) => plainTable(table, value),
  }
}

interface CollectionDetails {
  readonly help: string
  readonly default?: unknown
}

/** What differs between the kinds of collections. */
interface Collection<Items> {
  readonly type: string
  readonly expected: string
  readonly itemPath: '[]' | '.NAME'
  readonly plain: (value: unknown) => unknown
  /** Reads the only value given. @returns `invalid` after reporting why */
  readonly read: (only: Given, context: ReadContext) => Items | Invalid
}

function collection<Item, Items>(
  item: Entry<Item>,
  { help, default: fallback }: CollectionDetails,
  { type, expected, itemPath, plain, read }: Collection<Items>,
): Entry<Items> {
  const entry: Entry<Items> = {
    type,
    expected,
    help,
    ...(fallback !== undefined && { default: fallback }),
    secret: false,
    required: fallback === undefined,
    item,
    itemPath,
    names: (key) => [key],
    read(given, context) {
      const decodedGiven = decodedAll(given.slice(-1), expected, context)
      const [only] = decodedGiven === invalid ? [] : decodedGiven
      const items = only === undefined ? invalid : read(only, context)
      if (only === undefined || items === invalid) return invalid
      context.settle(entry, items, only.source.originOf(only.keys))
      return items
    },
    show: (value) => JSON.stringify(plain(value)),
    plain,
  }
  return entry
}

/** An ordered list of values or sections. */
export function list<Item>(
  item: Entry<Item>,
  details: CollectionDetails & { readonly default?: readonly unknown[]; readonly max?: number },
): Entry<readonly Item[]> {
  const max = details.max ?? 10_000
  const expected = `a list, each item ${item.expected}`
  return collection<Item, readonly Item[]>(item, details, {
    type: `list of ${item.type}`,
    expected,
    itemPath: '[]',
    plain: (value) => (Array.isArray(value) ? value.map((one) => plainOf(item, one)) : value),
    read(only, context) {
      if (!Array.isArray(only.value) || only.value.length > max) {
        const why = Array.isArray(only.value)
          ? `a list of more than ${max}`
          : shownInput(only.value)
        context.problem(`${why} is not ${expected}`, only)
        return invalid
      }
      const values = (only.value as readonly unknown[]).map((value, index) => {
        const inner = context.at(index).inside()
        return item.read([{ ...only, value, keys: inner.keys }], inner)
      })
      return values.includes(invalid) ? invalid : (values as readonly Item[])
    },
  })
}

/** Values or sections under names that the operator chooses. */
export function record<Item>(
  item: Entry<Item>,
  details: CollectionDetails & {
    readonly default?: Readonly<Record<string, unknown>>
    /** What a name may be, with its words in `expectedName`. */
    readonly namePattern?: RegExp
    readonly expectedName?: string
  },
): Entry<Readonly<Record<string, Item>>> {
  const expected = `a mapping of names, each to ${item.expected}`
  return collection<Item, Readonly<Record<string, Item>>>(item, details, {
    type: `mapping to ${item.type}`,
    expected,
    itemPath: '.NAME',
    plain(value) {
      if (!isMapping(value)) return value
      const entries = Object.entries(value).map(([name, one]) => [name, plainOf(item, one)])
      return Object.fromEntries(entries) as unknown
    },
    read(only, context) {
      if (!isMapping(only.value)) {
        context.problem(`${shownInput(only.value)} is not ${expected}`, only)
        return invalid
      }
      const values = Object.entries(only.value).map(([name, value]) => {
        const inner = context.at(name).inside()
        const one = { ...only, value, keys: inner.keys }
        if (details.namePattern?.test(name) === false) {
          inner.problem(`the name is not ${details.expectedName ?? 'allowed'}`, one)
        }
        return [name, item.read([one], inner)] as const
      })
      if (values.some(([, value]) => value === invalid)) return invalid
      return Object.fromEntries(values) as Record<string, Item>
    },
  })
}

/** An entry that may be absent; its value is then `undefined`. */
export function optional<E extends Entry<unknown>>(inner: E): Entry<ValueOf<E> | undefined> {
  const entry: Entry<ValueOf<E> | undefined> = {
    type: inner.type,
    expected: inner.expected,
    help: inner.help,
    ...(inner.unit !== undefined && { unit: inner.unit }),
    ...(inner.table !== undefined && { table: inner.table }),
    ...(inner.item !== undefined && { item: inner.item }),
    ...(inner.itemPath !== undefined && { itemPath: inner.itemPath }),
    ...(inner.default !== undefined && { default: inner.default }),
    secret: inner.secret,
    required: false,
    names: (key) => inner.names(key),
    read(given, context) {
      const last = given.at(-1)
      const isBelow = inner.table !== undefined && context.isGivenBelow(context.keys)
      if (!isBelow && (last === undefined || last.value === null)) {
        const origin = last?.source.originOf(last.keys) ?? { kind: 'default' as const }
        context.settle(entry, undefined, origin)
        return undefined
      }
      return inner.read(given, context) as ValueOf<E> | Invalid
    },
    show: (value) => (value === undefined ? '(not set)' : inner.show(value)),
    ...(inner.plain !== undefined && {
      plain: (value) => (value === undefined ? undefined : plainOf(inner, value)),
    }),
    ...(inner.nearest !== undefined && { nearest: (value) => inner.nearest?.(value) }),
  }
  return entry
}
