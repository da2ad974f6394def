/** How is a message of a process that may be hostile read, field by field? Each function gives `undefined` for what is not as it must be. */
import { isMapping, type Mapping } from '../runtime/mapping.ts'
import type { Count } from '../runtime/clock.ts'
import { terminalText } from '../observe/text-table.ts'

/** What a message holds, by name. */
export type Fields = Mapping

/** @returns `undefined` for lists and everything else that has no names */
export function readFields(value: unknown): Fields | undefined {
  return isMapping(value) ? value : undefined
}

/** A whole number from 0 on. */
export function readCount(value: unknown, most: Count): Count | undefined {
  return Number.isSafeInteger(value) ? readAmount(value, most) : undefined
}

/** A number from 0 on. */
export function readAmount(value: unknown, most: number): number | undefined {
  return typeof value === 'number' && value >= 0 && value <= most ? value : undefined
}

/** Text for people, of which nothing reaches a terminal that it could obey. */
export function readText(value: unknown, longest: Count): string | undefined {
  return typeof value === 'string' && value.length <= longest ? terminalText(value) : undefined
}

/** One of a closed set of words. */
export function readWord<const Word extends string>(
  value: unknown,
  words: readonly Word[],
): Word | undefined {
  return words.find((word) => word === value)
}

/** A list of which every item can be read. */
export function readList<Item>(
  value: unknown,
  most: Count,
  read: (item: unknown) => Item | undefined,
): readonly Item[] | undefined {
  if (!Array.isArray(value) || value.length > most) return undefined
  const items: Item[] = []
  for (const one of value as readonly unknown[]) {
    const item = read(one)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items
}

/** Every field that must be there, or `undefined` when one cannot be read. */
export function allRead<const Read extends Fields>(
  read: Read,
): { readonly [Name in keyof Read]: Exclude<Read[Name], undefined> } | undefined {
  return Object.values(read).includes(undefined)
    ? undefined
    : (read as { readonly [Name in keyof Read]: Exclude<Read[Name], undefined> })
}
