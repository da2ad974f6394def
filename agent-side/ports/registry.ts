/** Which kinds of port directories are there? The only file that knows the concrete ones; each is loaded when it is used. */
import type { ConfigOf, Table } from '../../lib/config/entry.ts'
import { oneOf } from '../../lib/config/option.ts'
import { optional, section } from '../../lib/config/structure.ts'
import type { DirectoryParts } from './directory/directory-parts.ts'
import type { PortDirectory } from './directory/port-directory.ts'
import { neutronRestConfig, neutronRestTable } from './neutron-rest/config.ts'
import { neutronRpcConfig, neutronRpcTable } from './neutron-rpc/config.ts'
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

/** What a directory is made of, beside its configuration. */
export interface DirectorySurroundings extends DirectoryParts {
  /** Where the `OS_*` variables are. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What `neutron-rpc` reports to Neutron as the configuration of this agent. @default nothing */
  readonly reportedConfigurations?: object
}

type Maker = (ports: PortsConfig, around: DirectorySurroundings) => Promise<PortDirectory>

function configured<Section>(kind: DirectoryKind, section: Section | undefined): Section {
  if (section === undefined) throw new TypeError(`ports.${kind} is not configured`)
  return section
}

const makers: Readonly<Record<DirectoryKind, Maker>> = {
  static: async (ports, around) => {
    const { StaticDirectory } = await import('./static/directory.ts')
    return new StaticDirectory(configured('static', ports.static), around)
  },
  'neutron-rest': async (ports, around) => {
    const { NeutronRestDirectory } = await import('./neutron-rest/directory.ts')
    const options = configured('neutron-rest', ports.neutron_rest)
    const { environment } = around
    const config = neutronRestConfig(options, { environment, workingDirectory: process.cwd() })
    return new NeutronRestDirectory(config, around)
  },
  'neutron-rpc': async (ports, around) => {
    const { NeutronRpcDirectory } = await import('./neutron-rpc/directory.ts')
    const options = configured('neutron-rpc', ports.neutron_rpc)
    const config = neutronRpcConfig(options, { ...around.reportedConfigurations })
    return new NeutronRpcDirectory(config, around)
  },
  ovn: async (ports, around) => {
    const { OvnDirectory } = await import('./ovn/directory.ts')
    return new OvnDirectory(configured('ovn', ports.ovn), around)
  },
}

/** Makes the configured directory; it is not started. */
export function createDirectory(
  config: PortsConfig,
  surroundings: DirectorySurroundings,
): Promise<PortDirectory> {
  return makers[config.kind](config, surroundings)
}
