import type { Entry, Keys, Table } from '../../lib/config/entry.ts'
import { pathText } from '../../lib/config/entry.ts'
import type { NativeSetting } from './translation.ts'

/** A value that was moved into the range of our option. */
export interface Fitting {
  /** `ports.neutron_rpc.heartbeat` */
  readonly path: string
  /** For the report: `as 10m, because 15m is outside its range`. */
  readonly how: string
}

/** The entry of a table that a path leads to; `undefined` when it leads nowhere. */
function entryAt(table: Table, [first, ...rest]: Keys): Entry<unknown> | undefined {
  const entry = typeof first === 'string' ? table[first] : undefined
  if (entry === undefined || rest.length === 0) return entry
  const isItem = typeof rest[0] === 'number'
  const inner = isItem ? entry.item : entry
  const below = isItem ? rest.slice(1) : rest
  if (below.length === 0) return inner
  return inner?.table === undefined ? undefined : entryAt(inner.table, below)
}

/**
 * Moves numbers that Neutron takes and our options do not to the nearest that they do. A file of Neutron must not keep
 * the agent from starting, only because Neutron draws the line elsewhere.
 */
export function fitSettings(
  settings: readonly NativeSetting[],
  table: Table,
): { readonly settings: readonly NativeSetting[]; readonly fittings: readonly Fitting[] } {
  const fittings: Fitting[] = []
  const fitted = settings.map((setting) => {
    const entry = entryAt(table, setting.path)
    const nearest = entry?.nearest?.(setting.value)
    if (nearest === undefined) return setting
    const how = `as ${nearest}, because ${String(setting.value)} is outside its range`
    fittings.push({ path: pathText(setting.path), how })
    return { ...setting, value: nearest }
  })
  return { settings: fitted, fittings }
}
