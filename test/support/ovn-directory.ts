import { OvnDirectory } from '../../agent-side/ports/ovn/directory.ts'
import type { OvnParts } from '../../agent-side/ports/ovn/southbound-client.ts'
import { ovnTable, type OvnConfig } from '../../agent-side/ports/ovn/config.ts'
import { createRegistry, type Registry } from '../../lib/observe/metrics.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { systemClock, type Clock } from '../../lib/runtime/clock.ts'
import { silentLogger, type Logger } from '../../lib/runtime/log.ts'

/** The options of an `ovn` directory with their defaults, and some set as in a file. */
export function ovnConfig(given: Readonly<Record<string, unknown>> = {}): OvnConfig {
  const set = Object.entries({ copy: 'all', ...given }).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const environmentPrefix = 'OVERLAPD_TEST'
  return loadConfig(ovnTable, { environment: {}, environmentPrefix, set }).config
}

export interface OvnDirectoryOptions {
  readonly config: Readonly<Record<string, unknown>>
  readonly clock?: Clock
  readonly logger?: Logger
  readonly registry?: Registry
  readonly connect?: OvnParts['connect']
  /** With a clock that stands still, pauses must not be zero. @default () => 0 */
  readonly random?: () => number
  readonly grantsByHost?: boolean
}

/** An `ovn` directory, which retries without pause unless told otherwise. */
export function ovnDirectory(options: OvnDirectoryOptions): OvnDirectory {
  return new OvnDirectory(ovnConfig(options.config), {
    clock: options.clock ?? systemClock,
    logger: options.logger ?? silentLogger,
    random: options.random ?? (() => 0),
    registry: options.registry ?? createRegistry(),
    ...(options.connect && { connect: options.connect }),
    ...(options.grantsByHost === true && { grantsByHost: true }),
  })
}
