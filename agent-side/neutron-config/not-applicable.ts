/** Which of Neutron's options mean nothing to overlapd-agent, and why? */

/** One option, or a whole group, and the reason. */
export interface NotApplicable {
  readonly group: string
  /** Every option of the group when absent. */
  readonly name?: string
  readonly why: string
}

function all(group: string, names: readonly string[], why: string): readonly NotApplicable[] {
  return names.map((name) => ({ group, name, why }))
}

const otherAgents = 'the L3 and DHCP agents read it and go on doing so'
const logs = 'overlapd-agent writes JSON lines to standard output; the service manager keeps them'
const children = 'overlapd-agent starts no child processes'
const metadataPath =
  'the metadata_path extension of the Open vSwitch agent needs no metadata agent; it goes on as it is'

/** Of oslo.cache, all releases together. @see oslo_cache/_opts.py */
const cacheOptions: readonly string[] = [
  'config_prefix',
  'backend',
  'backend_argument',
  'backend_expiration_time',
  'proxies',
  'debug_cache_backend',
  'memcache_servers',
  'memcache_dead_retry',
  'memcache_socket_timeout',
  'memcache_pool_maxsize',
  'memcache_pool_unused_timeout',
  'memcache_pool_connection_get_timeout',
  'memcache_pool_flush_on_reconnect',
  'memcache_sasl_enabled',
  'memcache_username',
  'memcache_password',
  'redis_server',
  'redis_db',
  'redis_username',
  'redis_password',
  'redis_sentinels',
  'redis_socket_timeout',
  'redis_sentinel_service_name',
  'tls_enabled',
  'tls_cafile',
  'tls_certfile',
  'tls_keyfile',
  'tls_allowed_ciphers',
  'enable_socket_keepalive',
  'socket_keepalive_idle',
  'socket_keepalive_interval',
  'socket_keepalive_count',
  'enable_retry_client',
  'retry_attempts',
  'retry_delay',
  'hashclient_retry_attempts',
  'hashclient_retry_delay',
  'dead_timeout',
  'enforce_fips_mode',
]

/** Of oslo.messaging's RabbitMQ driver, all releases together. @see oslo_messaging/_drivers/impl_rabbit.py */
const messagingOptions: readonly string[] = [
  'amqp_auto_delete',
  'conn_pool_min_size',
  'conn_pool_ttl',
  'direct_mandatory_flag',
  'enable_cancel_on_failover',
  'fake_rabbit',
  'heartbeat_in_pthread',
  'heartbeat_rate',
  'hostname',
  'kombu_compression',
  'kombu_failover_strategy',
  'kombu_missing_consumer_retry_timeout',
  'kombu_reconnect_delay',
  'kombu_reconnect_splay',
  'kombu_reconnect_timeout',
  'kombu_ssl_version',
  'processname',
  'rabbit_ha_queues',
  'rabbit_interval_max',
  'rabbit_login_method',
  'rabbit_max_retries',
  'rabbit_qos_prefetch_count',
  'rabbit_quorum_delivery_limit',
  'rabbit_quorum_max_memory_bytes',
  'rabbit_quorum_max_memory_length',
  'rabbit_quorum_queue',
  // Spelt so in some releases.
  'rabbit_quroum_max_memory_bytes',
  'rabbit_quroum_max_memory_length',
  'rabbit_retry_backoff',
  'rabbit_retry_interval',
  'rabbit_stream_fanout',
  'rpc_conn_pool_size',
  'ssl_enforce_fips_mode',
  'ssl_version',
  'use_queue_manager',
]

/** Options of Neutron that are known and deliberately not taken over. Names not listed are another program's, or mistakes. */
export const notApplicable: readonly NotApplicable[] = [
  ...all(
    'DEFAULT',
    ['metadata_workers'],
    'one event loop serves all requests, and a slow Nova holds up no other request',
  ),
  ...all(
    'DEFAULT',
    ['rpc_response_max_timeout'],
    'time limits do not grow after a time-out; ports.neutron_rpc.rpc_response_timeout is fixed',
  ),
  ...all(
    'DEFAULT',
    [
      'log_file',
      'log_dir',
      'log_config_append',
      'log_date_format',
      'use_syslog',
      'use_journal',
      'use_json',
      'use_stderr',
      'syslog_log_facility',
      'watch_log_file',
      'default_log_levels',
      'logging_context_format_string',
      'logging_default_format_string',
      'publish_errors',
    ],
    logs,
  ),
  ...all(
    'DEFAULT',
    [
      'enable_metadata_proxy',
      'metadata_port',
      'metadata_access_mark',
      'external_ingress_mark',
      'enable_isolated_metadata',
      'force_metadata',
      'enable_metadata_network',
      'dhcp_agents_per_network',
      'interface_driver',
    ],
    otherAgents,
  ),
  ...all('DEFAULT', ['agent_down_time'], 'it is the servers that count it with RPC'),
  ...all('agent', ['log_agent_heartbeats'], 'reports are counted by a metric instead of the log'),
  ...all('agent', ['root_helper', 'root_helper_daemon'], 'overlapd-agent needs no privilege'),
  ...all(
    'agent',
    [
      'check_child_processes_interval',
      'check_child_processes_action',
      'kill_scripts_path',
      'external_pids',
    ],
    children,
  ),
  ...all('cache', cacheOptions, 'the cache is in memory and always on; see cache.ttl for its time'),
  {
    group: 'metadata_haproxy',
    why: 'these are time limits of the proxy: haproxies keep them, overlapd-proxy has limits.timeout_*',
  },
  ...all(
    'ovn',
    ['ovn_metadata_enabled', 'disable_ovn_dhcp_for_baremetal_ports'],
    'neutron-server reads it when it makes metadata ports',
  ),
  ...all('ovn', ['ovsdb_log_level'], logs),
  ...all(
    'ovn',
    ['ovn_nb_connection', 'ovn_nb_private_key', 'ovn_nb_certificate', 'ovn_nb_ca_cert'],
    'overlapd-agent does not use the northbound database',
  ),
  ...all(
    'ovs',
    ['ovsdb_connection_timeout', 'bridge_mac_table_size', 'igmp_snooping_enable'],
    'the local Open vSwitch database is read once, for the name of the chassis',
  ),
  ...all(
    'metadata',
    ['provider_cidr', 'provider_vlan_id', 'provider_base_mac', 'host_proxy_listen_port'],
    metadataPath,
  ),
  ...all(
    'oslo_messaging_rabbit',
    messagingOptions,
    'overlapd-agent has no use for it: it reconnects, fails over and names its queues in its own way',
  ),
]

/** Why an option does not apply; `undefined` when it is none of the metadata agents'. */
export function reasonAgainst(group: string, name: string): string | undefined {
  return notApplicable.find(
    (one) => one.group === group && (one.name === undefined || one.name === name),
  )?.why
}

/** The names of a group that are known and do not apply. */
export function namesAgainst(group: string): readonly string[] {
  return notApplicable.flatMap((one) =>
    one.group === group && one.name !== undefined ? [one.name] : [],
  )
}
