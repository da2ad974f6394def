/** How is a value of JSON shown to a person? */
import { isMapping } from '../runtime/mapping.ts'
import { terminalText } from '../observe/text-table.ts'

const spans: readonly (readonly [seconds: number, unit: string])[] = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** `3 h 12 min`: the two largest parts. */
function spanText(seconds: number): string {
  const parts: string[] = []
  let left = Math.round(seconds)
  for (const [size, unit] of spans) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0 || (unit === 's' && parts.length === 0)) parts.push(`${count} ${unit}`)
  }
  return parts.slice(0, 2).join(' ')
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function milliseconds(span: number): string {
  return `${Number(span.toFixed(2))} ms`
}

/** What numbers of these names count. */
const units: Readonly<Record<string, (value: number) => string>> = {
  rss: mebibytes,
  heapUsed: mebibytes,
  uptime: spanText,
  age: milliseconds,
  span: milliseconds,
  took: milliseconds,
  waited: milliseconds,
}

function numberText(value: number, name: string): string {
  const inUnit = Object.hasOwn(units, name) ? units[name] : undefined
  return inUnit?.(value) ?? String(Number(value.toFixed(2)))
}

/**
 * A value as words, fit for a terminal: numbers rounded and with the unit that their name stands for, lists with commas,
 * things as `name=value`.
 * @param mostItems of a list; more are counted
 */
export function shownValue(value: unknown, name = '', mostItems = Infinity): string {
  return shown(value, name, mostItems, ', ')
}

function shown(value: unknown, name: string, mostItems: number, comma: string): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return terminalText(value)
  if (typeof value === 'number') return numberText(value, name)
  if (Array.isArray(value)) {
    const items = value as readonly unknown[]
    if (items.length === 0) return 'none'
    const left = items.length - mostItems
    const isOfThings = items.some(isMapping)
    const texts = items.slice(0, mostItems).map((item) => shown(item, '', mostItems, ','))
    const more = left > 0 ? [`… and ${left} more, see --json`] : []
    return [...texts, ...more].join(isOfThings ? '; ' : comma)
  }
  if (!isMapping(value)) return JSON.stringify(value) ?? ''
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([inner, each]) => `${terminalText(inner)}=${shown(each, inner, mostItems, ',')}`)
    .join(' ')
}
