/** Which rows of the local Open vSwitch database are copied, and how do they read? */
import type { CopiedRow } from '../../../lib/ovsdb/row-copy.ts'

/** What is copied and how it reads. @see ovs-vswitchd.conf.db(5) */
export const switchColumns = {
  Open_vSwitch: { external_ids: 'map' },
  Bridge: { name: 'text', datapath_type: 'text', ports: 'references' },
  Port: { name: 'text', interfaces: 'references' },
  Interface: { name: 'text', external_ids: 'map' },
} as const

type RowsOf<Table extends keyof typeof switchColumns> = ReadonlyMap<
  string,
  CopiedRow<(typeof switchColumns)[Table]>
>

/** What the local database holds, by the UUIDs of rows. */
export interface SwitchRows {
  readonly bridges: RowsOf<'Bridge'>
  readonly ports: RowsOf<'Port'>
  readonly interfaces: RowsOf<'Interface'>
}
