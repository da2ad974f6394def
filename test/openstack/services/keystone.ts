import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { answers, run, untilReady } from '../daemon.ts'
import { KeystoneApi } from '../keystone-api.ts'
import { urlOf, writeIni, type Place } from '../place.ts'
import { databaseUrl } from './mariadb.ts'
import { startUwsgi } from './uwsgi.ts'

const region = 'RegionOne'

/** Who the services and overlapd log in as. */
export function keystoneLogin(place: Place) {
  return {
    auth_url: `${urlOf(place, 'keystone')}/v3`,
    username: 'admin',
    password: place.password,
    project_name: 'admin',
    user_domain_name: 'Default',
    project_domain_name: 'Default',
  }
}

/** The `[keystone_authtoken]` of a service that checks tokens. */
export function tokenSection(place: Place) {
  const login = keystoneLogin(place)
  return {
    ...login,
    auth_type: 'password',
    www_authenticate_uri: login.auth_url,
    // So that a token that was withdrawn counts for nothing at once.
    token_cache_time: -1,
  }
}

function settings(place: Place): string {
  const keys = (name: string): string => join(place.folder, 'etc', 'keystone', name)
  return writeIni(place, 'keystone/keystone.conf', {
    DEFAULT: { log_file: join(place.folder, 'log', 'keystone-wsgi.log') },
    database: { connection: databaseUrl(place, 'keystone') },
    token: { provider: 'fernet', expiration: 3_600 },
    fernet_tokens: { key_repository: keys('fernet-keys') },
    fernet_receipts: { key_repository: keys('fernet-keys') },
    credential: { key_repository: keys('credential-keys') },
    oslo_policy: { policy_dirs: '/etc/keystone/policy.d' },
  })
}

/** Makes the tables, the keys and the first user. */
export async function prepareKeystone(place: Place): Promise<void> {
  const file = settings(place)
  const url = `${urlOf(place, 'keystone')}/v3`
  const manage = (...words: readonly string[]): Promise<string> =>
    run('keystone-manage', ['--config-file', file, ...words])
  const owner = ['--keystone-user', 'root', '--keystone-group', 'root']
  await manage('db_sync')
  await manage('fernet_setup', ...owner)
  await manage('credential_setup', ...owner)
  await manage(
    'bootstrap',
    '--bootstrap-password',
    place.password,
    '--bootstrap-region-id',
    region,
    '--bootstrap-admin-url',
    url,
    '--bootstrap-internal-url',
    url,
    '--bootstrap-public-url',
    url,
  )
}

/** Starts Keystone under uWSGI. */
export async function startKeystone(place: Place): Promise<void> {
  startUwsgi(place, {
    name: 'keystone',
    tcpPort: place.tcpPorts.keystone,
    application: '/usr/bin/keystone-wsgi-public',
    environment: { OS_KEYSTONE_CONFIG_DIR: join(place.folder, 'etc', 'keystone') },
  })
  await untilReady(place, 'keystone', () => answers(`${urlOf(place, 'keystone')}/v3`))
}

/** What seeding Keystone gave. */
export interface KeystoneSeed {
  readonly projectA: string
  readonly projectB: string
  readonly applicationCredential: { readonly id: string; readonly secret: string }
}

/** Makes the tenants, the catalog's entry for Neutron, an application credential and a clouds.yaml. */
export async function seedKeystone(place: Place): Promise<KeystoneSeed> {
  const login = keystoneLogin(place)
  const api = await KeystoneApi.logIn(login)
  const projectA = await api.make('/projects', 'project', { name: 'tenant-a' })
  const projectB = await api.make('/projects', 'project', { name: 'tenant-b' })
  const service = await api.make('/services', 'service', { type: 'network', name: 'neutron' })
  for (const scope of ['public', 'internal', 'admin']) {
    await api.make('/endpoints', 'endpoint', {
      service_id: service,
      interface: scope,
      url: urlOf(place, 'neutronKeystone'),
      region_id: region,
    })
  }
  const secret = `${place.password}-of-the-application`
  const credentials = `/users/${api.userId}/application_credentials`
  const id = await api.make(credentials, 'application_credential', { name: 'overlapd', secret })
  const clouds = { clouds: { openstack: { auth: login, region_name: region } } }
  // JSON is YAML.
  writeFileSync(join(place.folder, 'clouds.yaml'), JSON.stringify(clouds))
  return { projectA, projectB, applicationCredential: { id, secret } }
}
