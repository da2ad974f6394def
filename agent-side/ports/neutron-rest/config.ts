import type { Bytes, Count, Milliseconds } from '../../../lib/runtime/clock.ts'
import type { ConfigOf, Table } from '../../../lib/config/entry.ts'
import { bytes, duration, flag, integer, oneOf, path, text } from '../../../lib/config/option.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { optional } from '../../../lib/config/structure.ts'
import type { ClientTls } from './http/http.ts'
import {
  authenticationFrom,
  type Authentication,
  type AuthenticationValues,
} from './keystone/authentication.ts'
import type { Cloud, EndpointInterface } from './keystone/cloud.ts'
import { readCloud } from './keystone/clouds-yaml.ts'
import { cloudFromEnvironment, type Environment } from './keystone/os-environment.ts'

/** The options of `kind: neutron-rest`. Names are those of `clouds.yaml` and Neutron where they have one. */
export const neutronRestTable = {
  auth_type: oneOf(
    ['cloud', 'environment', 'password', 'application_credential', 'token', 'none'],
    {
      help: 'How to log in: with an entry of clouds.yaml, with the OS_* variables of the process, or with the options of this section. none is for laboratories whose Neutron runs with auth_strategy = noauth.',
      default: 'cloud',
    },
  ),
  cloud: optional(
    text({ help: 'Entry of clouds.yaml, for auth_type cloud. Default: the value of OS_CLOUD.' }),
  ),
  clouds_file: optional(
    path({
      help: 'Path of clouds.yaml, for auth_type cloud. Default: the places where the OpenStack SDKs look.',
    }),
  ),
  auth_url: optional(text({ help: 'URL of Keystone, with or without /v3.' })),
  username: optional(text({ help: 'Name of the user.' })),
  user_id: optional(text({ help: 'Id of the user, instead of name and domain.' })),
  user_domain_name: optional(text({ help: "Name of the user's domain." })),
  user_domain_id: optional(text({ help: "Id of the user's domain." })),
  password: secretFile({ help: 'Password of the user.' }),
  project_name: optional(text({ help: 'Name of the project to log in to.' })),
  project_id: optional(text({ help: 'Id of the project to log in to.' })),
  project_domain_name: optional(text({ help: "Name of the project's domain." })),
  project_domain_id: optional(text({ help: "Id of the project's domain." })),
  system_scope: flag({ help: 'Log in to the system instead of a project.', default: false }),
  application_credential_id: optional(text({ help: 'Id of the application credential.' })),
  application_credential_name: optional(
    text({ help: 'Name of the application credential, with username or user_id.' }),
  ),
  application_credential_secret: secretFile({ help: 'Secret of the application credential.' }),
  token: secretFile({
    help: 'Token of Keystone. It cannot be renewed: after it expires, all queries fail.',
  }),
  endpoint: optional(
    text({ help: 'URL of Neutron. Default: the endpoint in the catalog of Keystone.' }),
  ),
  region: optional(
    text({ help: 'Region in the catalog of Keystone. Required if the catalog has several.' }),
  ),
  interface: optional(
    oneOf(['public', 'internal', 'admin'], {
      help: 'Interface of the endpoint in the catalog. Default: the value in clouds.yaml or OS_INTERFACE, else public.',
    }),
  ),
  cacert: optional(path({ help: 'File with the CA certificates for Keystone and Neutron (PEM).' })),
  cert: optional(path({ help: 'File with the client certificate (PEM).' })),
  key: optional(path({ help: 'File with the key of the client certificate (PEM).' })),
  insecure: flag({
    help: 'Do not verify the certificates of Keystone and Neutron. An attacker on the network can then choose which instance a guest is.',
    default: false,
  }),
  max_age: duration({
    help: 'Maximum age of an answer. For this time a port that moved to another instance can still be answered with the old instance. 0 sends a query for every request.',
    default: '2s',
    min: '0s',
    max: '10m',
  }),
  max_stale: duration({
    help: 'Maximum age of an answer while Neutron does not answer. After that, guests get 503 and try again.',
    default: '5s',
    min: '0s',
    max: '1h',
  }),
  prefetch_ports: integer({
    help: 'Networks with at most this many ports are fetched whole. Larger networks are queried address by address. 0 turns it off.',
    unit: 'ports',
    default: 1_000,
    min: 0,
    max: 100_000,
  }),
  prefetch_router_interfaces: integer({
    help: 'If the cloud has at most this many router interfaces, all are fetched together. Otherwise routers are queried by id. 0 turns it off.',
    unit: 'ports',
    default: 500,
    min: 0,
    max: 100_000,
  }),
  held_ports: integer({
    help: 'Maximum number of ports in memory. Beyond it, the least recently used networks are dropped.',
    unit: 'ports',
    default: 100_000,
    min: 1_000,
    max: 10_000_000,
  }),
  held_routers: integer({
    help: 'Maximum number of routers in memory.',
    unit: 'routers',
    default: 10_000,
    min: 100,
    max: 1_000_000,
  }),
  page_size: integer({
    help: 'Ports per page of an answer. Neutron may send fewer (pagination_max_limit).',
    unit: 'ports',
    default: 1_000,
    min: 1,
    max: 100_000,
  }),
  uri_bytes: bytes({
    help: 'Maximum length of a request-target. Longer queries are split. Neutron rejects 8 KiB and more by default.',
    default: 7_000,
    min: 1_000,
    max: '64KiB',
  }),
  body_bytes: bytes({
    help: 'Maximum length of an answer of Keystone or Neutron. Longer answers are an error.',
    default: '16MiB',
    min: '64KiB',
    max: '256MiB',
  }),
  concurrency: integer({
    help: 'Maximum number of concurrent requests to Neutron.',
    unit: 'requests',
    default: 4,
    min: 1,
    max: 64,
  }),
  queue: integer({
    help: 'Maximum number of queries that wait for an answer. Further ones are refused with directory_unavailable.',
    unit: 'queries',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  }),
  attempts: integer({
    help: 'Maximum number of attempts for one request. It is repeated when Neutron answers 429, 502, 503 or 504, or when the connection breaks.',
    unit: 'requests',
    default: 3,
    min: 1,
    max: 10,
  }),
  timeout_connect: duration({
    help: 'Time limit for connecting, TLS included.',
    default: '3s',
    min: '100ms',
  }),
  timeout_headers: duration({
    help: 'Time limit from sending a request to the header of its answer.',
    default: '10s',
    min: '100ms',
  }),
  timeout_body: duration({
    help: 'Time limit between two pieces of the body of an answer.',
    default: '10s',
    min: '100ms',
  }),
  timeout_query: duration({
    help: 'Time limit for one query with all its pages, retries and waiting.',
    default: '10s',
    min: '100ms',
  }),
} as const satisfies Table

/** The options as they were read. */
export type NeutronRestOptions = ConfigOf<typeof neutronRestTable>

/** The configuration of the `neutron-rest` directory. README.md explains each option. */
export interface NeutronRestConfig {
  readonly authentication: Authentication
  /** URL of Neutron with or without `/v2.0`; absent: taken from Keystone's catalog. */
  readonly endpoint?: string
  readonly region?: string
  readonly endpointInterface: EndpointInterface
  readonly tls: ClientTls
  /** How old an answer may be. */
  readonly maxAge: Milliseconds
  /** How old an answer may be while Neutron does not answer. */
  readonly maxStale: Milliseconds
  /** Ports of one network that are fetched at once; a larger network is queried address by address. 0 turns it off. */
  readonly prefetchPorts: Count
  /** Router interfaces that are fetched at once; where there are more, routers are queried by id. 0 turns it off. */
  readonly prefetchRouterInterfaces: Count
  /** Ports kept in memory over all networks. */
  readonly heldPorts: Count
  /** Routers kept in memory. */
  readonly heldRouters: Count
  readonly pageSize: Count
  readonly uriBytes: Bytes
  readonly bodyBytes: Bytes
  /** Requests to Neutron that run at the same time. */
  readonly concurrency: Count
  /** Queries that may wait for an answer; more are refused. */
  readonly queue: Count
  /** How often one request is sent at most, the first time included. */
  readonly attempts: Count
  readonly timeoutConnect: Milliseconds
  readonly timeoutHeaders: Milliseconds
  readonly timeoutBody: Milliseconds
  /** All requests of one query together, waiting included. */
  readonly timeoutQuery: Milliseconds
}

/** What the options may refer to. */
export interface OptionContext {
  readonly environment: Environment
  readonly workingDirectory: string
}

function ownAuthentication(options: NeutronRestOptions): Authentication {
  const types = {
    password: 'password',
    application_credential: 'v3applicationcredential',
    token: 'token',
    none: 'none',
  } as const
  const values: AuthenticationValues = {
    auth_url: options.auth_url,
    username: options.username,
    user_id: options.user_id,
    user_domain_name: options.user_domain_name,
    user_domain_id: options.user_domain_id,
    password: options.password?.reveal(),
    project_name: options.project_name,
    project_id: options.project_id,
    project_domain_name: options.project_domain_name,
    project_domain_id: options.project_domain_id,
    system_scope: options.system_scope ? 'all' : undefined,
    application_credential_id: options.application_credential_id,
    application_credential_name: options.application_credential_name,
    application_credential_secret: options.application_credential_secret?.reveal(),
    token: options.token?.reveal(),
  }
  return authenticationFrom(types[options.auth_type as keyof typeof types], values)
}

function cloudOf(options: NeutronRestOptions, around: OptionContext): Cloud {
  const { auth_type: type, clouds_file: file } = options
  if (type === 'environment') return cloudFromEnvironment(around.environment)
  if (type !== 'cloud') {
    return { authentication: ownAuthentication(options), tls: { insecure: false } }
  }
  const name = options.cloud ?? around.environment['OS_CLOUD'] ?? 'openstack'
  return readCloud({ ...around, ...(file !== undefined && { file }) }, name)
}

/**
 * Makes the directory's configuration of its options; the options win over `clouds.yaml` and the
 * environment.
 * @throws {AuthenticationProblem} or `YamlError`
 */
export function neutronRestConfig(
  options: NeutronRestOptions,
  around: OptionContext,
): NeutronRestConfig {
  const cloud = cloudOf(options, around)
  const endpoint = options.endpoint ?? cloud.endpoint
  const region = options.region ?? cloud.region
  const caFile = options.cacert ?? cloud.tls.caFile
  const certFile = options.cert ?? cloud.tls.certFile
  const keyFile = options.key ?? cloud.tls.keyFile
  return {
    authentication: cloud.authentication,
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    endpointInterface: options.interface ?? cloud.endpointInterface ?? 'public',
    tls: {
      insecure: options.insecure || cloud.tls.insecure,
      ...(caFile !== undefined && { caFile }),
      ...(certFile !== undefined && { certFile }),
      ...(keyFile !== undefined && { keyFile }),
    },
    maxAge: options.max_age,
    maxStale: options.max_stale,
    prefetchPorts: options.prefetch_ports,
    prefetchRouterInterfaces: options.prefetch_router_interfaces,
    heldPorts: options.held_ports,
    heldRouters: options.held_routers,
    pageSize: options.page_size,
    uriBytes: options.uri_bytes,
    bodyBytes: options.body_bytes,
    concurrency: options.concurrency,
    queue: options.queue,
    attempts: options.attempts,
    timeoutConnect: options.timeout_connect,
    timeoutHeaders: options.timeout_headers,
    timeoutBody: options.timeout_body,
    timeoutQuery: options.timeout_query,
  }
}
