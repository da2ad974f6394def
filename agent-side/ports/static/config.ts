import { duration, path } from '../../../lib/config/option.ts'
import type { ConfigOf, Table } from '../../../lib/config/entry.ts'

/** The options of `kind: static`. */
export const staticTable = {
  file: path({
    help: 'YAML or JSON file of networks, routers, ports and instances. The directory watches the file. An invalid file is logged, and the previous version stays in use.',
  }),
  poll_interval: duration({
    help: 'How often the file is checked for changes, for file systems that do not report changes (NFS, some container mounts).',
    default: '10s',
    min: '100ms',
    max: '1h',
  }),
} as const satisfies Table

/** The options as they were read. */
export type StaticConfig = ConfigOf<typeof staticTable>
