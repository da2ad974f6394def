import { duration, path } from '../../../lib/config/option.ts'
import type { ConfigOf, Table } from '../../../lib/config/entry.ts'

/** The options of `kind: static`. */
export const staticTable = {
  file: path({
    help: 'YAML or JSON file of networks, routers, ports and instances. It is watched; a file that cannot be used leaves the last good one in force.',
  }),
  poll_interval: duration({
    help: 'How often the file is looked at even when nothing tells of a change, for file systems that do not (NFS, some container mounts).',
    default: '10s',
    min: '100ms',
    max: '1h',
  }),
} as const satisfies Table

/** The options as they were read. */
export type StaticConfig = ConfigOf<typeof staticTable>
