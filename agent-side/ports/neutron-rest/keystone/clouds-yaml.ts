import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readYamlFile } from '../../../../lib/files/yaml.ts'
import {
  authenticationFrom,
  AuthenticationProblem,
  type AuthenticationValues,
} from './authentication.ts'
import { endpointInterfaceFrom, type Cloud } from './cloud.ts'
import type { JsonObject } from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'
import type { Environment } from './os-environment.ts'

/** The documents that together describe a cloud; later ones win over earlier ones. */
export interface CloudDocuments {
  readonly vendors?: unknown
  readonly clouds: unknown
  readonly secure?: unknown
}

/** What belongs to the `auth` section and is often written beside it. */
const authenticationWords = new Set([
  'auth_url',
  'username',
  'user_id',
  'user_domain_name',
  'user_domain_id',
  'password',
  'token',
  'project_name',
  'project_id',
  'project_domain_name',
  'project_domain_id',
  'tenant_name',
  'tenant_id',
  'domain_name',
  'domain_id',
  'default_domain_name',
  'default_domain_id',
  'system_scope',
  'application_credential_id',
  'application_credential_name',
  'application_credential_secret',
])

/** `project-name` and `project_name` are the same word to the SDKs. */
function normalised(mapping: unknown): JsonObject {
  if (!isMapping(mapping)) return {}
  return Object.fromEntries(
    Object.entries(mapping).map(([key, value]) => [
      key.replaceAll('-', '_'),
      isMapping(value) ? normalised(value) : value,
    ]),
  )
}

function merged(older: JsonObject, newer: JsonObject): JsonObject {
  const both = Object.entries(newer).map(([key, value]) => {
    const before = older[key]
    return [key, isMapping(before) && isMapping(value) ? merged(before, value) : value]
  })
  return { ...older, ...Object.fromEntries(both) }
}

function entryOf(document: unknown, section: string, name: string): JsonObject | undefined {
  const clouds = isMapping(document) ? document[section] : undefined
  if (!isMapping(clouds) || !Object.hasOwn(clouds, name)) return undefined
  return normalised(clouds[name])
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  return typeof value === 'number' ? String(value) : undefined
}

function authenticationValues(cloud: JsonObject): AuthenticationValues {
  const beside = Object.entries(cloud).filter(([key]) => authenticationWords.has(key))
  const values = { ...Object.fromEntries(beside), ...normalised(cloud['auth']) }
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, text(value)]))
}

function regionOf(cloud: JsonObject): string | undefined {
  const { region_name: region, regions } = cloud
  const [first]: readonly unknown[] = Array.isArray(regions) ? regions : []
  return text(region) ?? text(isMapping(first) ? first['name'] : first)
}

/**
 * Reads one cloud out of the documents, as openstacksdk does: a `profile` of the vendor file below, `secure.yaml` on
 * top, authentication values beside or inside `auth`, dashes for underscores.
 * @throws {AuthenticationProblem} when there is no such cloud or its entry is incomplete
 */
export function cloudFromDocuments(documents: CloudDocuments, name: string): Cloud {
  const own = entryOf(documents.clouds, 'clouds', name)
  if (own === undefined) throw new AuthenticationProblem(`there is no cloud "${name}"`)
  const profile = text(own['profile'] ?? own['cloud'])
  const vendor =
    profile === undefined ? {} : (entryOf(documents.vendors, 'public-clouds', profile) ?? {})
  const cloud = merged(merged(vendor, own), entryOf(documents.secure, 'clouds', name) ?? {})
  const endpoint = text(cloud['network_endpoint_override'] ?? cloud['endpoint_override'])
  const wanted = text(cloud['network_interface'] ?? cloud['interface'] ?? cloud['endpoint_type'])
  const region = regionOf(cloud)
  const files = {
    caFile: text(cloud['cacert']),
    certFile: text(cloud['cert']),
    keyFile: text(cloud['key']),
  }
  return {
    authentication: authenticationFrom(text(cloud['auth_type']), authenticationValues(cloud)),
    tls: {
      insecure: cloud['verify'] === false || cloud['insecure'] === true,
      ...(files.caFile !== undefined && { caFile: files.caFile }),
      ...(files.certFile !== undefined && { certFile: files.certFile }),
      ...(files.keyFile !== undefined && { keyFile: files.keyFile }),
    },
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(wanted !== undefined && { endpointInterface: endpointInterfaceFrom(wanted) }),
  }
}

/** Paths of the files that were found. */
export interface CloudFiles {
  readonly clouds: string
  readonly secure?: string
  readonly vendors?: string
}

/** What decides where the files are. */
export interface CloudFilesSearch {
  readonly environment: Environment
  readonly workingDirectory: string
  /** `clouds.yaml` given by name; the other two are then looked for beside it first. */
  readonly file?: string
}

/**
 * Finds `clouds.yaml`, `secure.yaml` and `clouds-public.yaml` where openstacksdk looks: the file that a variable names,
 * the working directory, `~/.config/openstack`, `/etc/openstack`; `.yml` and `.json` too.
 * @throws {AuthenticationProblem} when there is no `clouds.yaml`
 */
export function findCloudFiles(search: CloudFilesSearch): CloudFiles {
  const { environment, workingDirectory, file } = search
  const { HOME: home, XDG_CONFIG_HOME: configHome } = environment
  const config = configHome ?? (home === undefined ? undefined : join(home, '.config'))
  const folders = [
    ...(file === undefined ? [] : [dirname(file)]),
    workingDirectory,
    ...(config === undefined ? [] : [join(config, 'openstack')]),
    '/etc/openstack',
  ]
  const find = (name: string, variable: string): string | undefined => {
    const candidates = folders.flatMap((folder) =>
      ['yaml', 'yml', 'json'].map((ending) => join(folder, `${name}.${ending}`)),
    )
    const given = environment[variable]
    return [...(given === undefined || given === '' ? [] : [given]), ...candidates].find((path) =>
      existsSync(path),
    )
  }
  const clouds = file ?? find('clouds', 'OS_CLIENT_CONFIG_FILE')
  if (clouds === undefined) {
    throw new AuthenticationProblem(`no clouds.yaml in ${folders.join(', ')}`)
  }
  const secure = find('secure', 'OS_CLIENT_SECURE_FILE')
  const vendors = find('clouds-public', 'OS_CLIENT_VENDOR_FILE')
  return {
    clouds,
    ...(secure !== undefined && { secure }),
    ...(vendors !== undefined && { vendors }),
  }
}

/**
 * Reads one cloud from its files.
 * @throws {AuthenticationProblem} or `YamlError`, which name the file
 */
export function readCloud(search: CloudFilesSearch, name: string): Cloud {
  const files = findCloudFiles(search)
  const documents = {
    clouds: readYamlFile(files.clouds).value,
    ...(files.secure !== undefined && { secure: readYamlFile(files.secure).value }),
    ...(files.vendors !== undefined && { vendors: readYamlFile(files.vendors).value }),
  }
  try {
    return cloudFromDocuments(documents, name)
  } catch (cause) {
    if (!(cause instanceof AuthenticationProblem)) throw cause
    throw new AuthenticationProblem(`${files.clouds}: ${cause.message}`, { cause })
  }
}
