/** Which kinds of port directories are there? The only file that knows the concrete ones; each is loaded when it is used. */
import type { Clock } from '../../lib/runtime/clock.ts'
import type { ConfigOf, Table } from '../../lib/config/entry.ts'
import { oneOf } from '../../lib/config/option.ts'
import { optional, section } from '../../lib/config/structure.ts'
import type { Logger } from '../../lib/runtime/log.ts'
import type { Registry } from '../../lib/observe/metrics.ts'
import type { PortDirectory } from './directory/port-directory.ts'
import { neutronRestTable } from './neutron-rest/options.ts'
import { neutronRpcTable } from './neutron-rpc/config.ts'
import { ovnTable } from './ovn/config.ts'
import { staticTable } from './static/config.ts'

/** The kinds that can be chosen, each with a section of its own for its options. */
export const directoryKinds = ['static', 'neutron-rest', 'neutron-rpc', 'ovn'] as const
export type DirectoryKind = (typeof directoryKinds)[number]

/** The key of a kind's own section. */
export const sectionOf = {
  static: 'static',
  'neutron-rest': 'neutron_rest',
  'neutron-rpc': 'neutron_rpc',
  ovn: 'ovn',
} as const satisfies Record<DirectoryKind, string>

/** The options below `ports`. */
export const portsTable = {
  kind: oneOf(directoryKinds, { help: 'Which port directory answers.', default: 'static' }),
  static: optional(section(staticTable, { help: 'Ports from a file.' })),
  neutron_rest: optional(section(neutronRestTable, { help: "Ports from Neutron's HTTP API." })),
  neutron_rpc: optional(section(neutronRpcTable, { help: 'Ports from Neutron over RabbitMQ.' })),
  ovn: optional(section(ovnTable, { help: "Ports from OVN's southbound database." })),
} as const satisfies Table

/** The section `ports` of the configuration, read. */
export type PortsConfig = ConfigOf<typeof portsTable>

/** What a directory is given to live with. */
export interface DirectorySurroundings {
  readonly clock: Clock
  readonly logger: Logger
  readonly registry: Registry
  /** Where `OS_*` variables are, for those who configure OpenStack's clients by them. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What a directory that reports the agent to Neutron says of its configuration. @default nothing */
  readonly reportedConfigurations?: object
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
  const { clock, logger, registry, environment, reportedConfigurations } = surroundings
  switch (config.kind) {
    case 'static': {
      const { StaticPortDirectory } = await import('./static/directory.ts')
      const { createStaticMetrics } = await import('./static/metrics.ts')
      const { file, poll_interval: pollInterval } = configured('static', config.static)
      const metrics = createStaticMetrics(registry)
      return new StaticPortDirectory({ file, pollInterval, clock, logger, metrics })
    }
    case 'neutron-rest': {
      const { NeutronRestDirectory } = await import('./neutron-rest/directory.ts')
      const { neutronRestConfig } = await import('./neutron-rest/options.ts')
      const options = configured('neutron-rest', config.neutron_rest)
      const around = { environment, workingDirectory: process.cwd() }
      const rest = neutronRestConfig(options, around)
      return new NeutronRestDirectory({ config: rest, clock, logger, registry })
    }
    case 'neutron-rpc': {
      const { NeutronRpcDirectory } = await import('./neutron-rpc/directory.ts')
      const { neutronRpcConfig } = await import('./neutron-rpc/config.ts')
      const options = configured('neutron-rpc', config.neutron_rpc)
      const rpc = neutronRpcConfig(options, { ...reportedConfigurations })
      return new NeutronRpcDirectory(rpc, { clock, logger, registry })
    }
    case 'ovn': {
      const { OvnPortDirectory } = await import('./ovn/directory.ts')
      const { createOvnMetrics } = await import('./ovn/metrics.ts')
      const options = configured('ovn', config.ovn)
      return new OvnPortDirectory({
        config: options,
        clock,
        logger,
        metrics: createOvnMetrics(registry),
      })
    }
    default:
      return config.kind satisfies never
  }
}
