import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answers, logOf, run, startDaemon, untilReady } from '../daemon.ts'
import { scriptPath, urlOf, writeIni, type Place } from '../place.ts'
import { hostName } from './host-name.ts'
import { databaseUrl } from './mariadb.ts'
import { transportUrl } from './rabbitmq.ts'
import { startUwsgi } from './uwsgi.ts'

/**
 * The two ways in which the metadata API is run: `novaUwsgi` as Debian does it, where each answer ends with the connection, and
 * `novaEventlet`, upstream's nova-api-metadata, which keeps connections.
 */
export type NovaServer = 'novaUwsgi' | 'novaEventlet'

/** What every answer of `vendor_data.json` holds. */
export const vendorData = { overlapd: { vendor: 'data' } }

function settings(place: Place, name: NovaServer): string {
  const folder = `nova-${name}`
  const state = join(place.folder, 'state', folder)
  mkdirSync(state, { recursive: true })
  const path = writeIni(place, `${folder}/nova.conf`, {
    DEFAULT: {
      host: hostName,
      my_ip: '127.0.0.1',
      transport_url: transportUrl(place, 'nova'),
      state_path: state,
      metadata_listen: '127.0.0.1',
      metadata_listen_port: place.tcpPorts[name],
      metadata_workers: 1,
      enabled_apis: 'metadata',
    },
    api_database: { connection: databaseUrl(place, 'nova_api') },
    database: { connection: databaseUrl(place, 'nova') },
    api: {
      metadata_cache_expiration: 15,
      vendordata_jsonfile_path: join(place.folder, 'etc', 'vendor-data.json'),
      dhcp_domain: 'novalocal',
    },
    conductor: { workers: 1 },
    placement: { auth_type: 'none', endpoint_override: 'http://127.0.0.1:1' },
    oslo_concurrency: { lock_path: join(place.folder, 'state') },
    oslo_policy: { policy_dirs: '/etc/nova/policy.d' },
    // Nova asks for the security groups of an instance.
    neutron: {
      auth_type: 'none',
      endpoint_override: urlOf(place, 'neutron'),
      service_metadata_proxy: true,
      metadata_proxy_shared_secret: place.sharedSecret,
    },
  })
  copyFileSync('/etc/nova/api-paste.ini', join(place.folder, 'etc', folder, 'api-paste.ini'))
  return path
}

/** Makes the tables and the only cell. */
export async function prepareNova(place: Place): Promise<void> {
  writeFileSync(join(place.folder, 'etc', 'vendor-data.json'), JSON.stringify(vendorData))
  const file = settings(place, 'novaUwsgi')
  const manage = (...words: readonly string[]): Promise<string> =>
    run('nova-manage', ['--config-file', file, ...words])
  await manage('api_db', 'sync')
  await manage('cell_v2', 'map_cell0', '--database_connection', databaseUrl(place, 'nova_cell0'))
  await manage('cell_v2', 'create_cell', '--name', 'cell1')
  await manage('db', 'sync')
}

// The package's program of this name hands over to uWSGI.
const eventletProgram = `import sys
from nova.cmd.api_metadata import main
sys.argv[0] = 'nova-api-metadata'
sys.exit(main())`

/** Starts both servers; the second one reads its objects through nova-conductor. */
export async function startNova(place: Place): Promise<void> {
  settings(place, 'novaUwsgi')
  const file = settings(place, 'novaEventlet')
  startUwsgi(place, {
    name: 'novaUwsgi',
    tcpPort: place.tcpPorts.novaUwsgi,
    application: '/usr/bin/nova-metadata-wsgi',
    environment: { OS_NOVA_CONFIG_DIR: join(place.folder, 'etc', 'nova-novaUwsgi') },
  })
  startDaemon(place, {
    name: 'nova-conductor',
    program: '/usr/bin/nova-conductor',
    arguments: ['--config-file', file],
  })
  // What is asked of it before it listens is lost, and waited for a minute.
  await untilReady(place, 'nova-conductor', async () =>
    readFileSync(logOf(place, 'nova-conductor'), 'utf8').includes('Starting conductor node'),
  )
  startDaemon(place, {
    name: 'novaEventlet',
    program: '/usr/bin/python3',
    arguments: ['-c', eventletProgram, '--config-file', file],
  })
  await novaReady(place, 'novaUwsgi')
  await novaReady(place, 'novaEventlet')
}

/** Resolves once the server answers. */
export async function novaReady(place: Place, name: NovaServer): Promise<void> {
  await untilReady(place, name, () => answers(`${urlOf(place, name)}/`))
}

/** An instance that Nova is to know. */
export interface NovaInstance {
  readonly id: string
  readonly name: string
  readonly projectId: string
  readonly userData: string
  readonly port: {
    readonly id: string
    readonly mac: string
    readonly ip: string
    readonly ip6: string
    readonly networkId: string
    readonly networkName: string
    readonly hasGateway: boolean
  }
}

/** Makes instances through Nova's own objects; nothing boots. */
export async function createInstances(
  place: Place,
  instances: readonly NovaInstance[],
): Promise<void> {
  const list = join(place.folder, 'etc', 'instances.json')
  writeFileSync(list, JSON.stringify(instances))
  const file = join(place.folder, 'etc', 'nova-novaUwsgi', 'nova.conf')
  await run('/usr/bin/python3', [scriptPath('nova_instances.py'), file, list, hostName])
}
