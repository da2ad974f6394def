import { OvsdbError } from './ovsdb-error.ts'

/**
 * How values stand in OVSDB's JSON (RFC 7047 §5.1): a set of one is the bare value, other sets are
 * `["set",[…]]`, maps `["map",[[key,value],…]]`, references `["uuid","…"]`.
 */

/** A row as it arrives: columns with the type's default value may be missing. */
export type Row = Readonly<Record<string, unknown>>

function tagged(value: unknown, tag: string): unknown {
  return Array.isArray(value) && value.length === 2 && value[0] === tag ? value[1] : undefined
}

function unexpected(what: string): OvsdbError {
  return new OvsdbError('protocol', `A column holds no ${what}`)
}

/** @throws OvsdbError `protocol` for anything else */
export function readString(value: unknown): string {
  if (typeof value !== 'string') throw unexpected('string')
  return value
}

/** @throws OvsdbError `protocol` for anything else */
export function readInteger(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unexpected('integer')
  return value
}

/** Reads `["uuid","…"]`. @throws OvsdbError `protocol` for anything else */
export function readUuid(value: unknown): string {
  const uuid = tagged(value, 'uuid')
  if (typeof uuid !== 'string') throw unexpected('UUID')
  return uuid
}

/** A set of strings; an optional string is a set of none or one. */
export function readStringSet(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  const items = tagged(value, 'set')
  if (!Array.isArray(items)) throw unexpected('set of strings')
  return items.map(readString)
}

/** A set of references; an optional one is a set of none or one. */
export function readUuidSet(value: unknown): readonly string[] {
  const one = tagged(value, 'uuid')
  if (typeof one === 'string') return [one]
  const items = tagged(value, 'set')
  if (!Array.isArray(items)) throw unexpected('set of references')
  return items.map(readUuid)
}

/** The pairs of a map from string to string. */
export function readStringMap(value: unknown): readonly (readonly [string, string])[] {
  const pairs = tagged(value, 'map')
  if (!Array.isArray(pairs)) throw unexpected('map of strings')
  for (const pair of pairs as readonly unknown[]) {
    if (!Array.isArray(pair) || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
      throw unexpected('map of strings')
    }
  }
  return pairs as [string, string][]
}

/** Writes a map for an operation of ours. */
export function writeStringMap(map: Readonly<Record<string, string>>): unknown {
  return ['map', Object.entries(map)]
}

/** Writes a set for an operation of ours. */
export function writeStringSet(items: readonly string[]): unknown {
  return ['set', items]
}
