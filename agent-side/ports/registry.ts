/** Which kinds of port directories are there? The only file that knows the concrete ones; each is loaded when it is used. */
import type { Clock } from '../../lib/clock.ts'
import type { ConfigOf, Table } from '../../lib/config/entry.ts'
import { oneOf } from '../../lib/config/option.ts'
import { optional, section } from '../../lib/config/structure.ts'
import type { Logger } from '../../lib/log.ts'
import type { Registry } from '../../lib/metrics.ts'
import type { PortDirectory } from './port-directory.ts'
import { staticTable } from './static/config.ts'

/** The kinds that can be chosen, each with a section of its own name for its options. */
export const directoryKinds = ['static'] as const
export type DirectoryKind = (typeof directoryKinds)[number]

/** The options below `ports`. */
export const portsTable = {
  kind: oneOf(directoryKinds, { help: 'Which port directory answers.', default: 'static' }),
  static: optional(section(staticTable, { help: 'Ports from a file.' })),
} as const satisfies Table

export type PortsConfig = ConfigOf<typeof portsTable>

/** What a directory is given to live with. */
export interface DirectorySurroundings {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
}

function configured<Section>(kind: DirectoryKind, section: Section | undefined): Section {
  if (section === undefined) throw new TypeError(`ports.${kind} is not configured`)
  return section
}

/** Makes the configured directory; it is not started. */
export async function createDirectory(
  config: PortsConfig,
  surroundings: DirectorySurroundings,
): Promise<PortDirectory> {
  const { clock, logger, registry } = surroundings
  switch (config.kind) {
    case 'static': {
      const { StaticPortDirectory } = await import('./static/directory.ts')
      const { createStaticMetrics } = await import('./static/metrics.ts')
      const { file, poll_interval: pollInterval } = configured('static', config.static)
      const metrics = createStaticMetrics(registry)
      return new StaticPortDirectory({ file, pollInterval, clock, logger, metrics })
    }
    default:
      return config.kind satisfies never
  }
}
