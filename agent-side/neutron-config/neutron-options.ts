import type { OsloOption } from '../../lib/oslo/oslo-option.ts'

/**
 * What Neutron's metadata agents read from their files, by the key under which the translation speaks of it. Names, types
 * and defaults are Neutron's.
 * @see neutron/conf/agent/metadata/config.py, neutron/conf/agent/ovn/metadata/config.py, neutron/conf/common.py,
 * neutron/conf/plugins/ml2/drivers/ovn/ovn_conf.py, oslo_messaging/_drivers/impl_rabbit.py
 */
export const neutronOptions = {
  statePath: {
    group: 'DEFAULT',
    name: 'state_path',
    type: 'string',
    default: '/var/lib/neutron',
  },
  host: { group: 'DEFAULT', name: 'host', type: 'string' },
  debug: { group: 'DEFAULT', name: 'debug', type: 'boolean', default: 'false' },
  transportUrl: { group: 'DEFAULT', name: 'transport_url', type: 'string', secret: true },
  controlExchange: {
    group: 'DEFAULT',
    name: 'control_exchange',
    type: 'string',
    default: 'neutron',
  },
  rpcResponseTimeout: {
    group: 'DEFAULT',
    name: 'rpc_response_timeout',
    type: 'integer',
    default: '60',
  },
  agentDownTime: { group: 'DEFAULT', name: 'agent_down_time', type: 'integer', default: '75' },

  socket: {
    group: 'DEFAULT',
    name: 'metadata_proxy_socket',
    type: 'string',
    default: '$state_path/metadata_proxy',
  },
  socketUser: { group: 'DEFAULT', name: 'metadata_proxy_user', type: 'string', default: '' },
  socketGroup: { group: 'DEFAULT', name: 'metadata_proxy_group', type: 'string', default: '' },
  socketMode: {
    group: 'DEFAULT',
    name: 'metadata_proxy_socket_mode',
    type: 'string',
    choices: ['deduce', 'user', 'group', 'all'],
    default: 'deduce',
  },
  backlog: {
    group: 'DEFAULT',
    name: 'metadata_backlog',
    type: 'integer',
    min: 1,
    default: '4096',
  },

  novaHost: {
    group: 'DEFAULT',
    name: 'nova_metadata_host',
    type: 'string',
    default: '127.0.0.1',
    deprecated: [{ name: 'nova_metadata_ip' }],
  },
  novaPort: {
    group: 'DEFAULT',
    name: 'nova_metadata_port',
    type: 'integer',
    min: 0,
    max: 65_535,
    default: '8775',
  },
  novaProtocol: {
    group: 'DEFAULT',
    name: 'nova_metadata_protocol',
    type: 'string',
    choices: ['http', 'https'],
    default: 'http',
  },
  novaInsecure: {
    group: 'DEFAULT',
    name: 'nova_metadata_insecure',
    type: 'boolean',
    default: 'false',
  },
  novaCa: { group: 'DEFAULT', name: 'auth_ca_cert', type: 'string' },
  novaCert: { group: 'DEFAULT', name: 'nova_client_cert', type: 'string', default: '' },
  novaKey: { group: 'DEFAULT', name: 'nova_client_priv_key', type: 'string', default: '' },
  sharedSecret: {
    group: 'DEFAULT',
    name: 'metadata_proxy_shared_secret',
    type: 'string',
    default: '',
    secret: true,
  },

  reportInterval: { group: 'agent', name: 'report_interval', type: 'float', default: '30' },
  extensions: { group: 'agent', name: 'extensions', type: 'list', default: '' },
  cacheEnabled: { group: 'cache', name: 'enabled', type: 'boolean', default: 'false' },
  cacheExpiration: { group: 'cache', name: 'expiration_time', type: 'integer', default: '600' },

  rateEnabled: {
    group: 'metadata_rate_limiting',
    name: 'rate_limit_enabled',
    type: 'boolean',
    default: 'false',
  },
  rateIpVersions: {
    group: 'metadata_rate_limiting',
    name: 'ip_versions',
    type: 'list',
    default: '4',
  },
  rateBaseWindow: {
    group: 'metadata_rate_limiting',
    name: 'base_window_duration',
    type: 'integer',
    min: 1,
    default: '10',
  },
  rateBaseLimit: {
    group: 'metadata_rate_limiting',
    name: 'base_query_rate_limit',
    type: 'integer',
    min: 1,
    default: '10',
  },
  rateBurstWindow: {
    group: 'metadata_rate_limiting',
    name: 'burst_window_duration',
    type: 'integer',
    min: 1,
    default: '10',
  },
  rateBurstLimit: {
    group: 'metadata_rate_limiting',
    name: 'burst_query_rate_limit',
    type: 'integer',
    min: 1,
    default: '10',
  },

  rabbitSsl: {
    group: 'oslo_messaging_rabbit',
    name: 'ssl',
    type: 'boolean',
    default: 'false',
    deprecated: [{ name: 'rabbit_use_ssl' }],
  },
  rabbitCa: {
    group: 'oslo_messaging_rabbit',
    name: 'ssl_ca_file',
    type: 'string',
    default: '',
    deprecated: [{ name: 'kombu_ssl_ca_certs' }],
  },
  rabbitCert: {
    group: 'oslo_messaging_rabbit',
    name: 'ssl_cert_file',
    type: 'string',
    default: '',
    deprecated: [{ name: 'kombu_ssl_certfile' }],
  },
  rabbitKey: {
    group: 'oslo_messaging_rabbit',
    name: 'ssl_key_file',
    type: 'string',
    default: '',
    deprecated: [{ name: 'kombu_ssl_keyfile' }],
  },
  rabbitVerifyHostname: {
    group: 'oslo_messaging_rabbit',
    name: 'ssl_enforce_hostname_verification',
    type: 'boolean',
    default: 'true',
  },
  rabbitHeartbeat: {
    group: 'oslo_messaging_rabbit',
    name: 'heartbeat_timeout_threshold',
    type: 'integer',
    default: '60',
  },
  rabbitTransientQuorum: {
    group: 'oslo_messaging_rabbit',
    name: 'rabbit_transient_quorum_queue',
    type: 'boolean',
    default: 'false',
  },
  rabbitTransientTtl: {
    group: 'oslo_messaging_rabbit',
    name: 'rabbit_transient_queues_ttl',
    type: 'integer',
    min: 0,
    default: '1800',
  },

  southbound: {
    group: 'ovn',
    name: 'ovn_sb_connection',
    type: 'list',
    default: 'tcp:127.0.0.1:6642',
  },
  southboundKey: { group: 'ovn', name: 'ovn_sb_private_key', type: 'string', default: '' },
  southboundCert: { group: 'ovn', name: 'ovn_sb_certificate', type: 'string', default: '' },
  southboundCa: { group: 'ovn', name: 'ovn_sb_ca_cert', type: 'string', default: '' },
  southboundTimeout: {
    group: 'ovn',
    name: 'ovsdb_connection_timeout',
    type: 'integer',
    default: '180',
  },
  southboundRetry: {
    group: 'ovn',
    name: 'ovsdb_retry_max_interval',
    type: 'integer',
    default: '180',
  },
  southboundProbe: {
    group: 'ovn',
    name: 'ovsdb_probe_interval',
    type: 'integer',
    min: 0,
    default: '60000',
  },
  openVswitch: {
    group: 'ovs',
    name: 'ovsdb_connection',
    type: 'string',
    default: 'unix:/usr/local/var/run/openvswitch/db.sock',
  },

  keystoneType: {
    group: 'keystone_authtoken',
    name: 'auth_type',
    type: 'string',
    deprecated: [{ name: 'auth_plugin' }],
  },
  keystoneUrl: { group: 'keystone_authtoken', name: 'auth_url', type: 'string' },
  keystoneUser: {
    group: 'keystone_authtoken',
    name: 'username',
    type: 'string',
    deprecated: [{ name: 'user_name' }],
  },
  keystonePassword: {
    group: 'keystone_authtoken',
    name: 'password',
    type: 'string',
    secret: true,
  },
  keystoneUserDomain: { group: 'keystone_authtoken', name: 'user_domain_name', type: 'string' },
  keystoneUserDomainId: { group: 'keystone_authtoken', name: 'user_domain_id', type: 'string' },
  keystoneProject: { group: 'keystone_authtoken', name: 'project_name', type: 'string' },
  keystoneProjectDomain: {
    group: 'keystone_authtoken',
    name: 'project_domain_name',
    type: 'string',
  },
  keystoneProjectDomainId: {
    group: 'keystone_authtoken',
    name: 'project_domain_id',
    type: 'string',
  },
  keystoneCa: { group: 'keystone_authtoken', name: 'cafile', type: 'string' },
  keystoneInsecure: {
    group: 'keystone_authtoken',
    name: 'insecure',
    type: 'boolean',
    default: 'false',
  },
  keystoneCredentialId: {
    group: 'keystone_authtoken',
    name: 'application_credential_id',
    type: 'string',
  },
  keystoneCredentialName: {
    group: 'keystone_authtoken',
    name: 'application_credential_name',
    type: 'string',
  },
  keystoneCredentialSecret: {
    group: 'keystone_authtoken',
    name: 'application_credential_secret',
    type: 'string',
    secret: true,
  },
  keystoneRegion: { group: 'keystone_authtoken', name: 'region_name', type: 'string' },
} as const satisfies Readonly<Record<string, OsloOption>>

/** The key of one of {@link neutronOptions}. */
export type NeutronOption = keyof typeof neutronOptions
