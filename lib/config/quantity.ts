import type { Bytes, Milliseconds } from '../runtime/clock.ts'

/** How are spans of time and sizes written by an operator? */

const millisecondsOf: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const bytesOf: Readonly<Record<string, number>> = {
  b: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
}

/**
 * Reads `500ms`, `30s`, `1.5m`, `2h`, `1d`; a bare number counts seconds, as in Neutron's options.
 * @returns `undefined` for anything else and for negative spans
 */
export function parseDuration(input: unknown): Milliseconds | undefined {
  if (typeof input === 'number')
    return Number.isFinite(input) && input >= 0 ? input * 1_000 : undefined
  if (typeof input !== 'string') return undefined
  const [, digits, unit] = /^(\d{1,15}(?:\.\d{1,9})?)\s*(ms|s|m|h|d)?$/.exec(input.trim()) ?? []
  if (digits === undefined) return undefined
  const factor = millisecondsOf[unit ?? 's']
  return factor === undefined ? undefined : Math.round(Number(digits) * factor)
}

/** The shortest whole way to write a span: `1500ms`, `30s`, `2m`, `1h`. */
export function durationText(span: Milliseconds): string {
  if (span === 0) return '0s'
  const unit = ['d', 'h', 'm', 's'].find((name) => span % (millisecondsOf[name] ?? 1) === 0) ?? 'ms'
  return `${span / (millisecondsOf[unit] ?? 1)}${unit}`
}

/** Reads `65536`, `64KiB`, `1 MiB`, `2GiB` and their short forms `64K`, `1M`. @returns `undefined` for anything else */
export function parseBytes(input: unknown): Bytes | undefined {
  if (typeof input === 'number')
    return Number.isSafeInteger(input) && input >= 0 ? input : undefined
  if (typeof input !== 'string') return undefined
  const [, digits, unit] = /^(\d{1,15})\s*(b|[kmg]i?b?)?$/i.exec(input.trim()) ?? []
  if (digits === undefined) return undefined
  const letter = unit?.[0]?.toLowerCase() ?? 'b'
  const size = Number(digits) * (bytesOf[letter === 'b' ? 'b' : `${letter}ib`] ?? Number.NaN)
  // "64kB" is 64,000 to some and 65,536 to others: only the unambiguous forms are taken.
  if (unit !== undefined && /^[kmg]b$/i.test(unit)) return undefined
  return Number.isSafeInteger(size) ? size : undefined
}

/** The shortest whole way to write a size: `1000`, `64KiB`, `1MiB`. */
export function bytesText(size: Bytes): string {
  if (size !== 0 && size % 1024 ** 3 === 0) return `${size / 1024 ** 3}GiB`
  if (size !== 0 && size % 1024 ** 2 === 0) return `${size / 1024 ** 2}MiB`
  if (size !== 0 && size % 1024 === 0) return `${size / 1024}KiB`
  return String(size)
}
