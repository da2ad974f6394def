import type { OsloOption } from '../../lib/oslo/oslo-option.ts'

type WithoutGroup<Option> = Option extends OsloOption ? Omit<Option, 'group'> : never

function inGroup<Key extends string>(
  group: string,
  options: Readonly<Record<Key, WithoutGroup<OsloOption>>>,
): Readonly<Record<Key, OsloOption>> {
  const entries = Object.entries<WithoutGroup<OsloOption>>(options)
  return Object.fromEntries(entries.map(([key, option]) => [key, { group, ...option }])) as Record<
    Key,
    OsloOption
  >
}

/**
 * What Neutron's metadata agents read from their files, by the key under which the translation speaks of it. Names, types
 * and defaults are Neutron's.
 * @see neutron/conf/agent/metadata/config.py, neutron/conf/agent/ovn/metadata/config.py, neutron/conf/common.py,
 * neutron/conf/plugins/ml2/drivers/ovn/ovn_conf.py, oslo_messaging/_drivers/impl_rabbit.py
 */
export const neutronOptions = {
  ...inGroup('DEFAULT', {
    statePath: { name: 'state_path', type: 'string', default: '/var/lib/neutron' },
    host: { name: 'host', type: 'string' },
    debug: { name: 'debug', type: 'boolean', default: 'false' },
    transportUrl: { name: 'transport_url', type: 'string', secret: true },
    controlExchange: { name: 'control_exchange', type: 'string', default: 'neutron' },
    rpcResponseTimeout: { name: 'rpc_response_timeout', type: 'integer', default: '60' },
    agentDownTime: { name: 'agent_down_time', type: 'integer', default: '75' },
    socket: {
      name: 'metadata_proxy_socket',
      type: 'string',
      default: '$state_path/metadata_proxy',
    },
    socketUser: { name: 'metadata_proxy_user', type: 'string', default: '' },
    socketGroup: { name: 'metadata_proxy_group', type: 'string', default: '' },
    socketMode: {
      name: 'metadata_proxy_socket_mode',
      type: 'string',
      choices: ['deduce', 'user', 'group', 'all'],
      default: 'deduce',
    },
    backlog: { name: 'metadata_backlog', type: 'integer', min: 1, default: '4096' },
    novaHost: {
      name: 'nova_metadata_host',
      type: 'string',
      default: '127.0.0.1',
      deprecated: [{ name: 'nova_metadata_ip' }],
    },
    novaPort: { name: 'nova_metadata_port', type: 'integer', min: 0, max: 65_535, default: '8775' },
    novaProtocol: {
      name: 'nova_metadata_protocol',
      type: 'string',
      choices: ['http', 'https'],
      default: 'http',
    },
    novaInsecure: { name: 'nova_metadata_insecure', type: 'boolean', default: 'false' },
    novaCa: { name: 'auth_ca_cert', type: 'string' },
    novaCert: { name: 'nova_client_cert', type: 'string', default: '' },
    novaKey: { name: 'nova_client_priv_key', type: 'string', default: '' },
    sharedSecret: {
      name: 'metadata_proxy_shared_secret',
      type: 'string',
      default: '',
      secret: true,
    },
  }),
  ...inGroup('agent', {
    reportInterval: { name: 'report_interval', type: 'float', default: '30' },
    extensions: { name: 'extensions', type: 'list', default: '' },
  }),
  ...inGroup('cache', {
    cacheEnabled: { name: 'enabled', type: 'boolean', default: 'false' },
    cacheExpiration: { name: 'expiration_time', type: 'integer', default: '600' },
  }),
  ...inGroup('metadata_rate_limiting', {
    rateEnabled: { name: 'rate_limit_enabled', type: 'boolean', default: 'false' },
    rateIpVersions: { name: 'ip_versions', type: 'list', default: '4' },
    rateBaseWindow: { name: 'base_window_duration', type: 'integer', min: 1, default: '10' },
    rateBaseLimit: { name: 'base_query_rate_limit', type: 'integer', min: 1, default: '10' },
    rateBurstWindow: { name: 'burst_window_duration', type: 'integer', min: 1, default: '10' },
    rateBurstLimit: { name: 'burst_query_rate_limit', type: 'integer', min: 1, default: '10' },
  }),
  ...inGroup('oslo_messaging_rabbit', {
    rabbitSsl: {
      name: 'ssl',
      type: 'boolean',
      default: 'false',
      deprecated: [{ name: 'rabbit_use_ssl' }],
    },
    rabbitCa: {
      name: 'ssl_ca_file',
      type: 'string',
      default: '',
      deprecated: [{ name: 'kombu_ssl_ca_certs' }],
    },
    rabbitCert: {
      name: 'ssl_cert_file',
      type: 'string',
      default: '',
      deprecated: [{ name: 'kombu_ssl_certfile' }],
    },
    rabbitKey: {
      name: 'ssl_key_file',
      type: 'string',
      default: '',
      deprecated: [{ name: 'kombu_ssl_keyfile' }],
    },
    rabbitVerifyHostname: {
      name: 'ssl_enforce_hostname_verification',
      type: 'boolean',
      default: 'true',
    },
    rabbitHeartbeat: { name: 'heartbeat_timeout_threshold', type: 'integer', default: '60' },
    rabbitTransientQuorum: {
      name: 'rabbit_transient_quorum_queue',
      type: 'boolean',
      default: 'false',
    },
    rabbitTransientTtl: {
      name: 'rabbit_transient_queues_ttl',
      type: 'integer',
      min: 0,
      default: '1800',
    },
  }),
  ...inGroup('ovn', {
    southbound: { name: 'ovn_sb_connection', type: 'list', default: 'tcp:127.0.0.1:6642' },
    southboundKey: { name: 'ovn_sb_private_key', type: 'string', default: '' },
    southboundCert: { name: 'ovn_sb_certificate', type: 'string', default: '' },
    southboundCa: { name: 'ovn_sb_ca_cert', type: 'string', default: '' },
    southboundTimeout: { name: 'ovsdb_connection_timeout', type: 'integer', default: '180' },
    southboundRetry: { name: 'ovsdb_retry_max_interval', type: 'integer', default: '180' },
    southboundProbe: { name: 'ovsdb_probe_interval', type: 'integer', min: 0, default: '60000' },
  }),
  ...inGroup('ovs', {
    openVswitch: {
      name: 'ovsdb_connection',
      type: 'string',
      default: 'unix:/usr/local/var/run/openvswitch/db.sock',
    },
  }),
  ...inGroup('keystone_authtoken', {
    keystoneType: { name: 'auth_type', type: 'string', deprecated: [{ name: 'auth_plugin' }] },
    keystoneUrl: { name: 'auth_url', type: 'string' },
    keystoneUser: { name: 'username', type: 'string', deprecated: [{ name: 'user_name' }] },
    keystonePassword: { name: 'password', type: 'string', secret: true },
    keystoneUserDomain: { name: 'user_domain_name', type: 'string' },
    keystoneUserDomainId: { name: 'user_domain_id', type: 'string' },
    keystoneProject: { name: 'project_name', type: 'string' },
    keystoneProjectDomain: { name: 'project_domain_name', type: 'string' },
    keystoneProjectDomainId: { name: 'project_domain_id', type: 'string' },
    keystoneCa: { name: 'cafile', type: 'string' },
    keystoneInsecure: { name: 'insecure', type: 'boolean', default: 'false' },
    keystoneCredentialId: { name: 'application_credential_id', type: 'string' },
    keystoneCredentialName: { name: 'application_credential_name', type: 'string' },
    keystoneCredentialSecret: {
      name: 'application_credential_secret',
      type: 'string',
      secret: true,
    },
    keystoneRegion: { name: 'region_name', type: 'string' },
  }),
}

/** The key of one of {@link neutronOptions}. */
export type NeutronOption = keyof typeof neutronOptions
