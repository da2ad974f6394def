import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { answers, answersOnSocket, run, startDaemon, untilReady } from '../daemon.ts'
import { urlOf, writeIni, type IniDocument, type Place } from '../place.ts'
import { databaseUrl } from './mariadb.ts'
import { tokenSection } from './keystone.ts'
import { transportUrl } from './rabbitmq.ts'
import { hostName } from './host-name.ts'
import { ovnSocket } from './ovn.ts'

/**
 * Three servers: one without authentication, one with Keystone on the same database and bus, and one whose ports OVN's
 * driver writes into the northbound database.
 */
export const neutronServers = {
  neutron: { database: 'neutron', virtualHost: 'ml2', isOvn: false, hasKeystone: false },
  neutronKeystone: { database: 'neutron', virtualHost: 'ml2', isOvn: false, hasKeystone: true },
  neutronOvn: { database: 'neutron_ovn', virtualHost: 'ovn', isOvn: true, hasKeystone: false },
} as const
export type NeutronServer = keyof typeof neutronServers

function configFiles(place: Place, name: NeutronServer): readonly string[] {
  const { database, virtualHost, isOvn, hasKeystone } = neutronServers[name]
  const state = join(place.folder, 'state', name)
  mkdirSync(state, { recursive: true })
  const server: IniDocument = {
    DEFAULT: {
      auth_strategy: hasKeystone ? 'keystone' : 'noauth',
      core_plugin: 'ml2',
      service_plugins: isOvn ? 'ovn-router' : 'router',
      transport_url: transportUrl(place, virtualHost),
      bind_host: '127.0.0.1',
      bind_port: place.tcpPorts[name],
      api_workers: 1,
      rpc_workers: 1,
      rpc_state_report_workers: 0,
      notify_nova_on_port_status_changes: false,
      notify_nova_on_port_data_changes: false,
      state_path: state,
      api_paste_config: '/etc/neutron/api-paste.ini',
      host: hostName,
    },
    agent: { root_helper: '' },
    database: { connection: databaseUrl(place, database) },
    oslo_concurrency: { lock_path: join(place.folder, 'state') },
    oslo_policy: { policy_dirs: '/etc/neutron/policy.d' },
    ...(hasKeystone && { keystone_authtoken: tokenSection(place) }),
  }
  const plugin: IniDocument = {
    ml2: {
      type_drivers: 'local,geneve',
      tenant_network_types: isOvn ? 'geneve' : 'local',
      // The logger binds nothing and says what it was told; no packet depends on a driver here.
      mechanism_drivers: isOvn ? 'ovn' : 'logger',
      extension_drivers: 'port_security',
    },
    ml2_type_geneve: { vni_ranges: '1:65536', max_header_size: 38 },
    ...(isOvn && {
      ovn: {
        ovn_nb_connection: `unix:${ovnSocket(place, 'nb')}`,
        ovn_sb_connection: `unix:${ovnSocket(place, 'sb')}`,
        ovn_metadata_enabled: true,
        ovsdb_probe_interval: 60_000,
      },
    }),
  }
  return [
    writeIni(place, `neutron/${name}.conf`, server),
    writeIni(place, `neutron/${name}-ml2.ini`, plugin),
  ]
}

function configOptions(place: Place, name: NeutronServer): readonly string[] {
  return configFiles(place, name).flatMap((file) => ['--config-file', file])
}

/** Makes the tables. */
export async function prepareNeutron(place: Place, name: NeutronServer): Promise<void> {
  await run('neutron-db-manage', [...configOptions(place, name), 'upgrade', 'heads'])
}

/** Starts one of the servers; {@link neutronReady} waits for it. */
export function startNeutron(place: Place, name: NeutronServer): void {
  startDaemon(place, {
    name,
    program: '/usr/bin/neutron-server',
    arguments: configOptions(place, name),
  })
}

/** Resolves once the server answers. */
export async function neutronReady(place: Place, name: NeutronServer): Promise<void> {
  const path = neutronServers[name].hasKeystone ? '/' : '/v2.0/networks?fields=id'
  await untilReady(place, name, () => answers(`${urlOf(place, name)}${path}`), 180_000)
}

/** The name of Neutron's own metadata agent among the daemons. */
export const neutronAgentName = 'neutron-metadata-agent'

/** The socket of Neutron's own metadata agent. */
export function neutronAgentSocket(place: Place, name = neutronAgentName): string {
  return join(place.folder, `${name}.sock`)
}

export interface NeutronAgentOptions {
  /** Its name, where there is more than one. @default neutronAgentName */
  readonly name?: string
  /** Where compute answers. @default Nova behind uWSGI */
  readonly novaTcpPort?: number
  /** True to remember ports and networks in each of its workers. */
  readonly hasCache?: boolean
}

/** Starts Neutron's own metadata agent with its defaults. */
export async function startNeutronAgent(
  place: Place,
  options: NeutronAgentOptions = {},
): Promise<void> {
  const { name = neutronAgentName, novaTcpPort = place.tcpPorts.novaUwsgi, hasCache } = options
  const socket = neutronAgentSocket(place, name)
  writeIni(place, `neutron/${name}.ini`, {
    DEFAULT: {
      nova_metadata_host: '127.0.0.1',
      nova_metadata_port: novaTcpPort,
      metadata_proxy_shared_secret: place.sharedSecret,
      metadata_workers: 2,
      metadata_proxy_socket: socket,
      metadata_proxy_socket_mode: 'all',
    },
    ...(hasCache === true && {
      cache: { enabled: true, backend: 'oslo_cache.dict', expiration_time: 3_600 },
    }),
  })
  startDaemon(place, {
    name,
    program: '/usr/bin/neutron-metadata-agent',
    arguments: neutronAgentFiles(place, 'neutron', name).flatMap((file) => ['--config-file', file]),
  })
  await neutronAgentReady(place, name)
}

/** The files of Neutron's own metadata agent, in their order; with a server that its `[keystone_authtoken]` fits, where wanted. */
export function neutronAgentFiles(
  place: Place,
  server: NeutronServer = 'neutron',
  name = neutronAgentName,
): readonly string[] {
  return [...configFiles(place, server), join(place.folder, 'etc', 'neutron', `${name}.ini`)]
}

/** Resolves once the agent answers. */
export async function neutronAgentReady(place: Place, name = neutronAgentName): Promise<void> {
  const socket = neutronAgentSocket(place, name)
  await untilReady(place, name, () => answersOnSocket(socket))
}
