import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import { neutronOptions } from '../../../agent-side/neutron-config/neutron-options.ts'
import { notApplicable } from '../../../agent-side/neutron-config/not-applicable.ts'
import {
  readNeutronConfig,
  type NeutronFiles,
  type NeutronReading,
} from '../../../agent-side/neutron-config/read.ts'
import { neutronReportText } from '../../../agent-side/neutron-config/report.ts'
import { loadConfig, type LoadedConfig } from '../../../lib/config/load.ts'
import { parseYaml } from '../../../lib/files/yaml.ts'

type Files = Readonly<Record<string, string>>

function read(t: Test, files: Files, directory?: NeutronFiles['directory']): NeutronReading {
  const folder = t.testdir({ ...files })
  return readNeutronConfig({
    sources: Object.keys(files).map((name) => ({ kind: 'file', path: join(folder, name) })),
    workingDirectory: '/',
    table: agentConfig.table,
    ...(directory && { directory }),
  })
}

function load(reading: NeutronReading): LoadedConfig<typeof agentConfig.table> {
  return loadConfig(agentConfig.table, {
    documents: [reading.document],
    environment: {},
    environmentPrefix: agentConfig.environmentPrefix,
    // The certificates that the samples name are not there.
    check: (config) =>
      (agentConfig.check?.(config) ?? []).filter(
        ({ message }) => !message.startsWith('Cannot read "/etc/ssl/'),
      ),
  })
}

const neutronConf = [
  '[DEFAULT]',
  'transport_url = rabbit://u:p$$w@broker:5671/vhost',
  'host = network-1',
  'core_plugin = ml2',
  '[oslo_messaging_rabbit]',
  'rabbit_use_ssl = true',
  'kombu_ssl_ca_certs = /etc/ssl/broker.pem',
  'kombu_reconnect_delay = 1.0',
  '[keystone_authtoken]',
  'auth_url = https://keystone.example',
  'username = neutron',
  'password = kspass',
  'project_name = service',
  'user_domain_name = Default',
  'project_domain_name = Default',
  '',
].join('\n')

const metadataAgent = [
  '[DEFAULT]',
  'nova_metadata_ip = fd00::8',
  'nova_metadata_port = 8443',
  'nova_metadata_protocol = https',
  'nova_metadata_insecure = yes',
  'auth_ca_cert = /etc/ssl/nova.pem',
  'nova_client_cert = /etc/ssl/c.pem',
  'nova_client_priv_key = /etc/ssl/k.pem',
  'metadata_proxy_shared_secret = a#b;"c',
  'metadata_proxy_socket_mode = group',
  'metadata_proxy_group = neutron',
  'metadata_workers = 8',
  'metadata_backlog = 100',
  'state_path = /srv/neutron',
  'debug = true',
  'misspelt = 1',
  '[AGENT]',
  'report_interval = 7.5',
  '[cache]',
  'enabled = true',
  'expiration_time = 5',
  '[metadata_rate_limiting]',
  'rate_limit_enabled = true',
  '',
].join('\n')

const ml2 = { 'neutron.conf': neutronConf, 'metadata_agent.ini': metadataAgent }

t.test(
  "the files of Neutron's metadata agent become a configuration that can be used",
  async (t) => {
    const { config } = load(read(t, ml2))
    t.match(config.listeners, [
      {
        kind: 'neutron',
        flavour: 'ml2',
        socket: '/srv/neutron/metadata_proxy',
        mode: 'group',
        group: 'neutron',
      },
    ])
    t.match(config.compute, {
      upstreams: ['https://[fd00::8]:8443'],
      tls: {
        insecure: true,
        ca_file: '/etc/ssl/nova.pem',
        certificate_file: '/etc/ssl/c.pem',
        key_file: '/etc/ssl/k.pem',
      },
    })
    t.equal(config.compute.shared_secret?.reveal(), 'a#b;"c')
    t.equal(config.ports.kind, 'neutron-rpc')
    t.equal(config.ports.neutron_rpc?.transport_url?.reveal(), 'rabbit://u:p$w@broker:5671/vhost')
    t.match(config.ports.neutron_rpc, {
      host: 'network-1',
      ssl: true,
      ssl_ca_file: '/etc/ssl/broker.pem',
      report_interval: 7_500,
    })
    t.equal(config.limits.backlog, 100)
    t.equal(config.cache.ttl, 5_000)
    t.equal(config.log.level, 'debug')
  },
)

t.test('each value has the file and line it came from', async (t) => {
  const { rows } = load(read(t, ml2))
  const secret = rows.find((row) => row.path === 'compute.shared_secret')
  t.match(secret?.origin, { kind: 'file', file: /metadata_agent\.ini$/, line: 9 })
})

t.test('the report accounts for every option that is set', async (t) => {
  const { report } = read(t, ml2)
  const fate = (name: string): unknown => report.find((row) => row.name === name)?.fate
  t.match(fate('nova_metadata_host'), { kind: 'honoured', as: 'compute.upstreams' })
  t.match(fate('metadata_proxy_socket_mode'), { kind: 'honoured', as: 'listeners[0].mode' })
  t.match(fate('metadata_workers'), { kind: 'not-applicable' })
  t.match(fate('rate_limit_enabled'), { kind: 'honoured', as: 'rate_limit.enabled' })
  t.match(fate('kombu_reconnect_delay'), { kind: 'not-applicable' })
  t.match(fate('auth_url'), { kind: 'not-applicable' }, 'another directory would read it')
  t.strictSame(fate('misspelt'), { kind: 'unread' })
  t.strictSame(fate('core_plugin'), { kind: 'unread' })
  const set = Object.values(ml2).flatMap((text) => text.match(/^\w+ =/gm) ?? [])
  t.equal(report.length, set.length)
})

t.test("Neutron's rate limits are taken over, whatever IP version they were for", async (t) => {
  const section = [
    '[metadata_rate_limiting]',
    'rate_limit_enabled = true',
    'ip_versions = 4,6',
    'base_window_duration = 60',
    'base_query_rate_limit = 1000000',
    'burst_window_duration = 5',
    'burst_query_rate_limit = 2',
    '',
  ].join('\n')
  const reading = read(t, { ...ml2, 'late.ini': section })

  const { config } = load(reading)

  t.match(config.rate_limit, {
    enabled: true,
    base_window_duration: 60_000,
    base_query_rate_limit: 10_000,
    burst_window_duration: 5_000,
    burst_query_rate_limit: 2,
    dry_run: false,
  })
  const fate = reading.report.find((row) => row.name === 'ip_versions')?.fate
  t.match(fate, { kind: 'honoured', as: /IPv4 and IPv6 together/ })
})

t.test('without them nothing is limited', async (t) => {
  const { config } = load(
    read(t, {
      'neutron.conf': neutronConf,
      's.ini': '[DEFAULT]\nmetadata_proxy_shared_secret = s\n',
    }),
  )
  t.equal(config.rate_limit.enabled, false)
})

t.test('the YAML that is printed is the same configuration, without the secrets', async (t) => {
  const reading = read(t, ml2)
  for (const secret of ['a#b', 'p$w', 'kspass']) {
    t.notMatch(reading.yaml, secret)
    t.notOk(neutronReportText(reading.report).includes(secret))
  }
  const value = parseYaml(reading.yaml, 'printed.yaml').value as Record<string, never>
  const folder = t.testdir({})
  const yaml = reading.yaml.replaceAll('/etc/overlapd/secrets/', `${folder}/`)
  writeFileSync(join(folder, 'compute-shared_secret'), 'a#b;"c\n', { mode: 0o600 })
  writeFileSync(
    join(folder, 'ports-neutron_rpc-transport_url'),
    'rabbit://u:p$w@broker:5671/vhost\n',
    { mode: 0o600 },
  )
  writeFileSync(join(folder, 'agent.yaml'), yaml)
  const printed = loadConfig(agentConfig.table, {
    file: join(folder, 'agent.yaml'),
    environment: {},
    environmentPrefix: 'X',
  })
  t.strictSame(printed.config, load(reading).config)
  t.ok(value)
})

t.test("the files of OVN's agents choose the ovn directory and flavour", async (t) => {
  const ini = [
    '[DEFAULT]',
    'metadata_proxy_shared_secret = s',
    '[ovn]',
    'ovn_sb_connection = tcp:192.0.2.1:6642,ssl:192.0.2.2:6642',
    'ovn_sb_private_key = /k',
    'ovn_sb_certificate = /c',
    'ovn_sb_ca_cert = /ca',
    'ovsdb_probe_interval = 3000',
    'ovn_metadata_enabled = true',
    '[ovs]',
    'ovsdb_connection = unix:/run/ovs.sock',
    '[agent]',
    'report_interval = 30',
  ].join('\n')
  for (const name of ['neutron_ovn_metadata_agent.ini', 'ovn_agent.ini', 'any.ini']) {
    const reading = read(t, { [name]: ini })
    const { config } = load(reading)
    t.match(config.listeners, [{ kind: 'neutron', flavour: 'ovn' }], name)
    t.equal(config.ports.kind, 'ovn')
    t.match(config.ports.ovn, {
      ovn_sb_private_key: '/k',
      ovn_sb_certificate: '/c',
      ovn_sb_ca_cert: '/ca',
      ovsdb_probe_interval: 2_000,
      timeout_probe: 6_000,
      report_agent: true,
    })
    t.equal(config.ports.ovn?.ovn_sb_connection.length, 2)
    const fate = reading.report.find((row) => row.name === 'ovn_metadata_enabled')?.fate
    t.equal(fate?.kind, 'not-applicable')
  }
})

t.test('neutron-rest is chosen on request and logs in as [keystone_authtoken] does', async (t) => {
  const { config } = load(read(t, ml2, 'neutron-rest'))
  t.equal(config.ports.kind, 'neutron-rest')
  t.match(config.ports.neutron_rest, {
    auth_type: 'password',
    auth_url: 'https://keystone.example',
    username: 'neutron',
  })
  t.equal(config.ports.neutron_rest?.password?.reveal(), 'kspass')
})

t.test('an empty shared secret is refused unless it is configured', async (t) => {
  const reading = read(t, { ...ml2, 'late.ini': '[DEFAULT]\nmetadata_proxy_shared_secret =\n' })
  t.throws(() => load(reading), { message: /compute\.shared_secret_file: must be given/ })
})

t.test('one half of a client certificate counts for nothing, as in Neutron', async (t) => {
  const late = '[DEFAULT]\nnova_client_priv_key =\n'
  const { config } = load(read(t, { ...ml2, 'late.ini': late }))
  t.equal(config.compute.tls.certificate_file, undefined)
})

t.test('without transport_url the error names the missing neutron.conf', async (t) => {
  t.throws(() => read(t, { 'metadata_agent.ini': metadataAgent }), {
    name: 'NeutronConfigError',
    message: /neutron\.conf/,
  })
})

t.test('no option is both taken over and declared not applicable by group', async (t) => {
  const both = Object.values(neutronOptions).filter((option) =>
    notApplicable.some((one) => one.group === option.group && one.name === option.name),
  )
  // It counts with OVN only, where the agent spreads its reports by it.
  t.strictSame(
    both.map(({ name }) => name),
    ['agent_down_time'],
  )
})
