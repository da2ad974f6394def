import { isAbsolute, resolve } from 'node:path'
import type { Bytes, Count, Milliseconds } from '../runtime/clock.ts'
import { bytesText, durationText, parseBytes, parseDuration } from './quantity.ts'
import { invalid, shownInput, type Entry, type Given } from './entry.ts'

/** What every option is made with. The default is written as in the file: `'30s'`, `'64KiB'`, `true`. */
export interface OptionDetails<Input> {
  /** One or two sentences for the operator. */
  readonly help: string
  /** Without one the option must be given, unless it is wrapped in `optional()`. */
  readonly default?: Input
  /** What a number counts, for the reference: `connections`. */
  readonly unit?: string
}

interface Leaf<Value> {
  readonly type: string
  readonly expected: string
  /** @returns the value, or `undefined` when the input is not of the expected form */
  parse(given: Given): Value | undefined
  show(value: Value): string
  /** @see Entry.plain */
  plain?(value: Value): unknown
  /** @see Entry.nearest */
  nearest?(value: unknown): string | number | undefined
}

/** Makes an option of one value from its parser; what `text`, `integer` and the others are made with. */
export function leafOption<Value>(
  leaf: Leaf<Value>,
  details: OptionDetails<unknown>,
): Entry<Value> {
  const entry: Entry<Value> = {
    type: leaf.type,
    expected: leaf.expected,
    help: details.help,
    ...(details.unit !== undefined && { unit: details.unit }),
    ...(details.default !== undefined && { default: details.default }),
    secret: false,
    required: details.default === undefined,
    names: (key) => [key],
    read(given, context) {
      let outcome: Value | typeof invalid = invalid
      for (const one of given) {
        const value = leaf.parse(one)
        outcome = value === undefined ? invalid : value
        if (value === undefined) {
          context.problem(`${shownInput(one.value)} is not ${leaf.expected}`, one)
        } else if (one === given.at(-1)) {
          context.settle(entry, value, one.source.originOf(one.keys))
        }
      }
      return outcome
    },
    show: (value) => leaf.show(value as Value),
    ...(leaf.plain !== undefined && { plain: (value) => leaf.plain?.(value as Value) }),
    ...(leaf.nearest !== undefined && { nearest: (value) => leaf.nearest?.(value) }),
  }
  return entry
}

/** The number of the range that is nearest to one outside; `undefined` inside it. */
function nearestOf(
  value: number | undefined,
  min: number | undefined,
  max: number | undefined,
): number | undefined {
  if (value === undefined) return undefined
  if (min !== undefined && value < min) return min
  return max !== undefined && value > max ? max : undefined
}

function nonEmptyText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && !value.includes('\0') ? value : undefined
}

/** An option of free text. With a pattern, `expected` must describe what the pattern takes. */
export function text(
  details: OptionDetails<string> & { readonly pattern?: RegExp; readonly expected?: string },
): Entry<string> {
  return leafOption(
    {
      type: 'text',
      expected: details.expected ?? 'text',
      parse({ value }) {
        const given = nonEmptyText(value)
        return given !== undefined && (details.pattern?.test(given) ?? true) ? given : undefined
      },
      show: (value) => value,
    },
    details,
  )
}

/** An option that names a file, folder or socket. A relative path in a file is relative to that file. */
export function path(details: OptionDetails<string>): Entry<string> {
  return leafOption(
    {
      type: 'path',
      expected: 'a path',
      parse({ value, source }) {
        const given = nonEmptyText(value)
        if (given === undefined) return undefined
        return isAbsolute(given) ? given : resolve(source.directory, given)
      },
      show: (value) => value,
    },
    details,
  )
}

function rangeText(min: string | undefined, max: string | undefined): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`
  if (min !== undefined) return ` of at least ${min}`
  return max === undefined ? '' : ` of at most ${max}`
}

/** An option of a whole number. */
export function integer(
  details: OptionDetails<number> & { readonly min?: number; readonly max?: number },
): Entry<Count> {
  const { min, max } = details
  return leafOption(
    {
      type: 'whole number',
      expected: `a whole number${rangeText(min?.toString(), max?.toString())}`,
      parse({ value, fromText }) {
        const isDigits = typeof value === 'string' && /^-?\d{1,16}$/.test(value)
        const number = fromText && isDigits ? Number(value) : value
        if (typeof number !== 'number' || !Number.isSafeInteger(number)) return undefined
        return number < (min ?? number) || number > (max ?? number) ? undefined : number
      },
      show: String,
      nearest: (value) => nearestOf(typeof value === 'number' ? value : undefined, min, max),
    },
    details,
  )
}

/** An option of a size: `65536` or `64KiB`. */
export function bytes(
  details: OptionDetails<number | string> & {
    readonly min?: number | string
    readonly max?: number | string
  },
): Entry<Bytes> {
  const min = parseBytes(details.min)
  const max = parseBytes(details.max)
  const range = rangeText(
    min === undefined ? undefined : bytesText(min),
    max === undefined ? undefined : bytesText(max),
  )
  return leafOption(
    {
      type: 'size',
      expected: `a size in bytes such as 65536 or 64KiB${range === '' ? '' : `,${range}`}`,
      parse({ value }) {
        const size = parseBytes(value)
        if (size === undefined) return undefined
        return size < (min ?? size) || size > (max ?? size) ? undefined : size
      },
      show: bytesText,
    },
    details,
  )
}

/** Node's timers hold 31 bits of milliseconds; a longer span would fire at once. */
const longestTimer: Milliseconds = 2 ** 31 - 1

/** An option of a span of time: `500ms`, `30s`, `2m`, `1h`; a bare number counts seconds. */
export function duration(
  details: OptionDetails<number | string> & {
    readonly min?: number | string
    readonly max?: number | string
  },
): Entry<Milliseconds> {
  const min = parseDuration(details.min)
  const max = parseDuration(details.max)
  const range = rangeText(
    min === undefined ? undefined : durationText(min),
    max === undefined ? undefined : durationText(max),
  )
  return leafOption(
    {
      type: 'duration',
      expected: `a duration such as 500ms, 30s, 2m or 1h (a bare number is seconds)${range === '' ? '' : `,${range}`}`,
      parse({ value }) {
        const span = parseDuration(value)
        if (span === undefined) return undefined
        return span < (min ?? 0) || span > (max ?? longestTimer) ? undefined : span
      },
      show: durationText,
      nearest(value) {
        const span = nearestOf(parseDuration(value), min ?? 0, max ?? longestTimer)
        return span === undefined ? undefined : durationText(span)
      },
    },
    details,
  )
}

const wordsOfFlags: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['0', false],
])

/** An option that is on or off. */
export function flag(details: OptionDetails<boolean>): Entry<boolean> {
  return leafOption(
    {
      type: 'flag',
      expected: 'true or false',
      parse({ value, fromText }) {
        if (typeof value === 'boolean') return value
        // YAML 1.2 reads a bare `yes` as text; taking it there would let "no" in quotes mean false.
        return fromText && typeof value === 'string'
          ? wordsOfFlags.get(value.toLowerCase())
          : undefined
      },
      show: String,
    },
    details,
  )
}

/** An option that is one of a few words. */
export function oneOf<const Word extends string>(
  words: readonly Word[],
  details: OptionDetails<NoInfer<Word>>,
): Entry<Word> {
  return leafOption(
    {
      type: 'word',
      expected: `one of ${words.join(', ')}`,
      parse: ({ value }) => words.find((word) => word === value),
      show: (value) => value,
    },
    details,
  )
}

/** Permission bits as an operator writes them. @returns `undefined` for anything but octal digits in quotes */
export function parseFileMode(value: unknown): number | undefined {
  return typeof value === 'string' && /^0?[0-7]{3}$/.test(value)
    ? Number.parseInt(value, 8)
    : undefined
}

/** The inverse of {@link parseFileMode}: `0660`. */
export function fileModeText(mode: number): string {
  return `0${mode.toString(8).padStart(3, '0')}`
}

/** An option of permission bits, written in quotes as `"0660"`: without them YAML would read a decimal number. */
export function fileMode(
  details: OptionDetails<string> & {
    /** Whether bits for all users of the host are refused. */
    readonly isForFew?: boolean
  },
): Entry<number> {
  const { isForFew = false } = details
  const ending = isForFew ? ', closed to other users' : ''
  return leafOption(
    {
      type: 'file mode',
      expected: `an octal file mode in quotes such as "0660"${ending}`,
      parse({ value }) {
        const mode = parseFileMode(value)
        return mode !== undefined && isForFew && (mode & 0o007) !== 0 ? undefined : mode
      },
      show: fileModeText,
      plain: fileModeText,
    },
    details,
  )
}
