/**
 * What a "modify" of monitor_cond holds is a difference, not the new value (ovsdb-server(7) §4.1.14): for sets
 * what is in exactly one of old and new, for maps the pairs that came, went (with their old value) or changed (with the
 * new one), for single values the new value.
 */

/** @returns the set after the difference */
export function applySetDiff(
  before: readonly string[],
  difference: readonly string[],
): readonly string[] {
  const after = new Set(before)
  for (const item of difference) if (!after.delete(item)) after.add(item)
  return [...after]
}

/** @returns what one key holds after its pair of the difference */
export function applyMapDiff(before: string | undefined, difference: string): string | undefined {
  return before === difference ? undefined : difference
}
