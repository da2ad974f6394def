/** What YAML, JSON and OVSDB call a mapping or an object: names with values that were not looked at yet. */
export type Mapping = Readonly<Record<string, unknown>>

/** Neither a list nor `null`, which are objects of JavaScript as well. */
export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
