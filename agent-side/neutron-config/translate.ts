import { isIPv6 } from 'node:net'
import type { Milliseconds, Seconds } from '../../lib/runtime/clock.ts'
import type { OsloConfig } from '../../lib/oslo/oslo-config.ts'
import { hostText } from '../../lib/identity/tcp-address.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import type { NeutronOption } from './neutron-options.ts'
import { Translation } from './translation.ts'

/** Whose files they are: `ml2` for the agents with L3 and DHCP namespaces, `ovn` for OVN's. */
export type Flavour = 'ml2' | 'ovn'

/** The port directories that Neutron's files can configure. */
export type NeutronDirectory = 'neutron-rpc' | 'neutron-rest' | 'ovn'

/** What is not in the files. */
export interface TranslateOptions {
  readonly flavour: Flavour
  /** What answers instead of the flavour's own: `neutron-rpc` for ml2, `ovn` for ovn. */
  readonly directory?: NeutronDirectory
}

/** What keeps the files from being used, for the operator. */
export class NeutronConfigError extends Error {
  override readonly name = 'NeutronConfigError'
}

/** A file of OVN's agents by its name, its southbound database or its extension. */
export function flavourOf(config: OsloConfig, files: readonly string[]): Flavour {
  const translation = new Translation(config)
  const extensions = translation.value('extensions')
  const isOvn =
    translation.isSet('southbound') ||
    (Array.isArray(extensions) && extensions.includes('metadata')) ||
    files.some((file) => /(?:^|\/)(?:neutron_)?ovn_[^/]*\.ini$/.test(file))
  return isOvn ? 'ovn' : 'ml2'
}

/** How often our own side sends at least; Neutron's own interval is the time to give up. */
const longestProbe: Milliseconds = 2_000
/** The default of `cache.ttl`. */
const ownCacheTime: Seconds = 10

function secret(text: string | undefined): Secret | undefined {
  return text === undefined ? undefined : new Secret(text)
}

function seconds(value: unknown): string | undefined {
  return typeof value === 'number' ? `${Math.round(value * 1_000)}ms` : undefined
}

function listenerOf(translation: Translation, flavour: Flavour): void {
  const at = (key: string): (string | number)[] => ['listeners', 0, key]
  translation.set(at('kind'), 'neutron')
  translation.set(at('flavour'), flavour)
  translation.set(at('socket'), translation.text('socket'), 'socket')
  translation.set(at('user'), translation.text('socketUser'), 'socketUser')
  translation.set(at('group'), translation.text('socketGroup'), 'socketGroup')
  translation.set(at('mode'), translation.value('socketMode'), 'socketMode')
  translation.set(['limits', 'backlog'], translation.value('backlog'), 'backlog')
  translation.note('statePath', 'within metadata_proxy_socket')
}

const novaTlsOptions = ['novaInsecure', 'novaCa', 'novaCert', 'novaKey'] as const

/** Names and IPv4 addresses; what else a URL would take, such as a user name, is a mistake here. */
const hostName = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?$/

function computeOf(translation: Translation): void {
  const host = translation.text('novaHost') ?? ''
  if (!isIPv6(host) && !hostName.test(host)) {
    throw translation.problem(
      'novaHost',
      `"${host}" is neither an address nor a name${/[#;]/.test(host) ? '; a comment needs a line of its own' : ''}`,
    )
  }
  const port = translation.value('novaPort')
  if (port === undefined) throw translation.problem('novaPort', 'it is empty')
  const protocol = translation.text('novaProtocol') ?? 'http'
  const url = `${protocol}://${hostText(host)}:${String(port)}`
  translation.set(['compute', 'upstreams'], [url], 'novaHost', 'novaPort', 'novaProtocol')
  if (protocol === 'https') computeTlsOf(translation)
  else
    for (const option of novaTlsOptions) translation.leave(option, 'requests go to Nova over http')
  const shared = secret(translation.text('sharedSecret'))
  translation.set(['compute', 'shared_secret'], shared, 'sharedSecret')
}

function computeTlsOf(translation: Translation): void {
  const isInsecure = translation.value('novaInsecure')
  translation.set(['compute', 'tls', 'insecure'], isInsecure, 'novaInsecure')
  translation.set(['compute', 'tls', 'ca_file'], translation.text('novaCa'), 'novaCa')
  const [cert, key] = [translation.text('novaCert'), translation.text('novaKey')]
  // Neutron uses them only together.
  const both = cert !== undefined && key !== undefined
  translation.set(['compute', 'tls', 'certificate_file'], both ? cert : undefined, 'novaCert')
  translation.set(['compute', 'tls', 'key_file'], both ? key : undefined, 'novaKey')
}

/**
 * Neutron limits in each haproxy, by address. Set in the files, it is wanted whoever stands in front, and behind a haproxy that
 * limits already nothing is refused twice.
 */
function rateLimitOf(translation: Translation): void {
  const options = {
    base_window_duration: 'rateBaseWindow',
    base_query_rate_limit: 'rateBaseLimit',
    burst_window_duration: 'rateBurstWindow',
    burst_query_rate_limit: 'rateBurstLimit',
  } as const satisfies Readonly<Record<string, NeutronOption>>
  const at = (key: string): string[] => ['rate_limit', key]
  translation.set(
    at('enabled'),
    translation.isSet('rateEnabled') ? translation.value('rateEnabled') : undefined,
    'rateEnabled',
  )
  for (const [key, option] of Object.entries(options)) {
    const value = translation.value(option)
    const isUsed = translation.isSet(option) && typeof value === 'number'
    const shown = key.endsWith('_duration') ? seconds(value) : value
    translation.set(at(key), isUsed ? shown : undefined, option)
  }
  translation.note('rateIpVersions', 'rate_limit, which counts IPv4 and IPv6 together')
}

/** How releases before `transport_url` named the broker. */
function refuseOldBrokerOptions(translation: Translation): void {
  for (const name of ['rabbit_hosts', 'rabbit_host']) {
    const old = translation.writtenUnknown(name)
    if (old === undefined) continue
    const { file, line } = old.origin
    throw new NeutronConfigError(
      `${file}:${line}: [${old.group}] ${name} is too old: write [DEFAULT] transport_url = rabbit://user:password@host:5672/`,
    )
  }
}

function rpcOf(translation: Translation): void {
  const at = (key: string): string[] => ['ports', 'neutron_rpc', key]
  const url = translation.text('transportUrl')
  if (url === undefined) {
    refuseOldBrokerOptions(translation)
    throw new NeutronConfigError(
      'transport_url is not set; name neutron.conf too, as the service of the metadata agent does',
    )
  }
  translation.set(at('transport_url'), new Secret(url), 'transportUrl')
  const ifSet = (key: string, option: NeutronOption, value: unknown): void => {
    translation.set(at(key), translation.isSet(option) ? value : undefined, option)
  }
  const text = (option: NeutronOption): string | undefined => translation.text(option)
  ifSet('control_exchange', 'controlExchange', text('controlExchange'))
  ifSet('host', 'host', text('host'))
  ifSet(
    'rpc_response_timeout',
    'rpcResponseTimeout',
    seconds(translation.value('rpcResponseTimeout')),
  )
  ifSet('report_interval', 'reportInterval', seconds(translation.value('reportInterval')))
  ifSet('ssl', 'rabbitSsl', translation.value('rabbitSsl'))
  ifSet('ssl_ca_file', 'rabbitCa', text('rabbitCa'))
  ifSet('ssl_cert_file', 'rabbitCert', text('rabbitCert'))
  ifSet('ssl_key_file', 'rabbitKey', text('rabbitKey'))
  ifSet(
    'ssl_enforce_hostname_verification',
    'rabbitVerifyHostname',
    translation.value('rabbitVerifyHostname'),
  )
  ifSet('heartbeat', 'rabbitHeartbeat', seconds(translation.value('rabbitHeartbeat')))
  ifSet(
    'rabbit_transient_quorum_queue',
    'rabbitTransientQuorum',
    translation.value('rabbitTransientQuorum'),
  )
  ifSet(
    'rabbit_transient_queues_ttl',
    'rabbitTransientTtl',
    seconds(translation.value('rabbitTransientTtl')),
  )
}

function ovnOf(translation: Translation): void {
  const at = (key: string): string[] => ['ports', 'ovn', key]
  translation.set(at('ovn_sb_connection'), translation.value('southbound'), 'southbound')
  translation.set(at('ovn_sb_private_key'), translation.text('southboundKey'), 'southboundKey')
  translation.set(at('ovn_sb_certificate'), translation.text('southboundCert'), 'southboundCert')
  translation.set(at('ovn_sb_ca_cert'), translation.text('southboundCa'), 'southboundCa')
  const ifSet = (key: string, option: NeutronOption, value: unknown): void => {
    translation.set(at(key), translation.isSet(option) ? value : undefined, option)
  }
  ifSet(
    'ovsdb_connection_timeout',
    'southboundTimeout',
    seconds(translation.value('southboundTimeout')),
  )
  ifSet(
    'ovsdb_retry_max_interval',
    'southboundRetry',
    seconds(translation.value('southboundRetry')),
  )
  const probe = translation.value('southboundProbe')
  // In milliseconds. 0 turns it off there, and here it stays on: without it a dead server is noticed late.
  if (typeof probe === 'number' && probe >= 100) {
    ifSet('ovsdb_probe_interval', 'southboundProbe', `${Math.min(probe, longestProbe)}ms`)
    ifSet('timeout_probe', 'southboundProbe', `${2 * probe}ms`)
  } else translation.note('southboundProbe', 'ports.ovn.ovsdb_probe_interval stays on')
  ifSet('ovsdb_connection', 'openVswitch', translation.text('openVswitch'))
  ifSet('agent_down_time', 'agentDownTime', seconds(translation.value('agentDownTime')))
  translation.set(at('report_agent'), translation.value('reportInterval') !== 0, 'reportInterval')
}

/** Names of keystoneauth's plugins, and what they are here. */
const keystoneTypes: ReadonlyMap<string, string> = new Map([
  ['password', 'password'],
  ['v3password', 'password'],
  ['v3applicationcredential', 'application_credential'],
])

function restOf(translation: Translation): void {
  const at = (key: string): string[] => ['ports', 'neutron_rest', key]
  const type = translation.text('keystoneType') ?? 'password'
  const known = keystoneTypes.get(type)
  if (known === undefined) {
    throw translation.problem(
      'keystoneType',
      `"${type}" is none of ${[...keystoneTypes.keys()].join(', ')}; write ports.neutron_rest in YAML`,
    )
  }
  translation.set(at('auth_type'), known, 'keystoneType')
  const texts = {
    auth_url: 'keystoneUrl',
    username: 'keystoneUser',
    user_domain_name: 'keystoneUserDomain',
    user_domain_id: 'keystoneUserDomainId',
    project_name: 'keystoneProject',
    project_domain_name: 'keystoneProjectDomain',
    project_domain_id: 'keystoneProjectDomainId',
    cacert: 'keystoneCa',
    region: 'keystoneRegion',
    application_credential_id: 'keystoneCredentialId',
    application_credential_name: 'keystoneCredentialName',
  } as const satisfies Readonly<Record<string, NeutronOption>>
  for (const [key, option] of Object.entries(texts)) {
    translation.set(at(key), translation.text(option), option)
  }
  translation.set(at('insecure'), translation.value('keystoneInsecure'), 'keystoneInsecure')
  const password = secret(translation.text('keystonePassword'))
  translation.set(at('password'), password, 'keystonePassword')
  const credential = secret(translation.text('keystoneCredentialSecret'))
  translation.set(at('application_credential_secret'), credential, 'keystoneCredentialSecret')
}

/**
 * Translates what the files hold into our options.
 * @throws {NeutronConfigError} or `OsloValueError`
 */
export function translate(config: OsloConfig, options: TranslateOptions): Translation {
  const translation = new Translation(config)
  const { flavour, directory = flavour === 'ovn' ? 'ovn' : 'neutron-rpc' } = options
  listenerOf(translation, flavour)
  computeOf(translation)
  rateLimitOf(translation)
  translation.set(['ports', 'kind'], directory)
  if (directory === 'ovn') ovnOf(translation)
  else if (directory === 'neutron-rpc') rpcOf(translation)
  else restOf(translation)
  if (translation.value('debug') === true) translation.set(['log', 'level'], 'debug', 'debug')
  else translation.note('debug', 'log.level')
  const expiration = translation.value('cacheExpiration')
  const isCaching = translation.value('cacheEnabled') === true
  // A longer one would only keep an address with its old instance; the default of 600 s was never meant for this.
  if (isCaching && typeof expiration === 'number' && expiration < ownCacheTime) {
    translation.set(['cache', 'ttl'], seconds(expiration), 'cacheExpiration', 'cacheEnabled')
  } else {
    translation.note('cacheExpiration', `cache.ttl, but at most ${ownCacheTime} s`)
    translation.note('cacheEnabled', 'cache, which is always on')
  }
  return translation
}
