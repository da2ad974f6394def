/** Which rows of OVN's southbound database are copied, and how do they read? */
import type { CopiedRow } from '../../../lib/ovsdb/row-copy.ts'

/** What is copied and how it reads. @see ovn-sb(5) */
export const southboundColumns = {
  Port_Binding: {
    logical_port: 'text',
    type: 'text',
    mac: 'texts',
    external_ids: 'map',
    datapath: 'reference',
    chassis: 'reference',
    additional_chassis: 'references',
  },
  Datapath_Binding: { external_ids: 'map' },
} as const

/** A port of OVN, as copied. */
export type PortBinding = CopiedRow<(typeof southboundColumns)['Port_Binding']>
/** A logical switch or router, as copied. */
export type DatapathBinding = CopiedRow<(typeof southboundColumns)['Datapath_Binding']>

/** What is known of the southbound database. */
export interface SouthboundRows {
  /** UUID of this host's row of Chassis. */
  readonly chassis: string
  readonly ports: Iterable<PortBinding>
  readonly datapaths: ReadonlyMap<string, DatapathBinding>
}
