import type { Entry, Keys, Table } from './entry.ts'

/** One name under which a value may be given from outside. */
export interface TableName {
  readonly keys: Keys
  readonly entry: Entry<unknown>
}

/** Every name of a table, sections included, in order. What is inside lists and records has none: it is given whole. */
export function tableNames(table: Table, above: Keys = []): readonly TableName[] {
  return Object.entries(table).flatMap(([key, entry]) => [
    ...entry.names(key).map((name) => ({ keys: [...above, name], entry })),
    ...(entry.table === undefined ? [] : tableNames(entry.table, [...above, key])),
  ])
}

/** The variable for a key: `OVERLAPD_PROXY` and `admin.socket` make `OVERLAPD_PROXY_ADMIN_SOCKET`. */
export function environmentName(prefix: string, keys: Keys): string {
  return [prefix, ...keys].join('_').toUpperCase()
}
