// Files of real deployments were refused, misread, or passed `check` and then ended `serve`: blank options in transport_url, passwords with
// signs of URLs, options of other releases, numbers beyond our ranges, certificates of a protocol that is not used, misspellings in whole
// groups. Each is taken as Neutron takes it, or refused by `check` with the option that is wrong, its file and line.
import { neutronRpcDefaults } from '../support/neutron-defaults.ts'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agentProgram } from '../../agent-side/cli.ts'
import { parseTransportUrl } from '../../agent-side/ports/neutron-rpc/amqp/transport-url.ts'
import { withUrlOptions } from '../../agent-side/ports/neutron-rpc/bus/url-options.ts'
import { runProgram } from '../../lib/cli/command.ts'
import { Secret } from '../../lib/runtime/secret.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'

interface Checked {
  readonly code: number
  readonly out: string
  readonly error: string
}

const broker = 'transport_url = rabbit://u:p@192.0.2.1:5672/'
const secret = 'metadata_proxy_shared_secret = s'

/** `overlapd-agent check` with one file of Neutron that holds these lines. */
async function check(t: Test, lines: readonly string[], ...more: string[]): Promise<Checked> {
  const folder = t.testdir({ 'neutron.conf': `${lines.join('\n')}\n` })
  const terminal = new FakeTerminal()
  const argv = ['check', '--config-file', join(folder, 'neutron.conf'), ...more]
  const code = await runProgram(agentProgram, argv, terminal)
  return { code, ...terminal.written() }
}

t.test('a blank option in the query of transport_url is no value', async (t) => {
  const url = 'rabbit://u:p@h:5671//?ssl=1&ssl_version=TLSv1_2&ssl_ca_file='
  const config = { ...neutronRpcDefaults, transportUrl: new Secret(url) }
  const { tls } = withUrlOptions(config, parseTransportUrl(url).options)
  t.strictSame(tls, { verifyHostname: true, insecure: false })
})

t.test('ssl_enforce_hostname_verification is taken over, from the file and the URL', async (t) => {
  const { code, out } = await check(t, [
    '[DEFAULT]',
    broker,
    secret,
    '[oslo_messaging_rabbit]',
    'ssl = true',
    'ssl_enforce_hostname_verification = false',
  ])
  t.equal(code, 0)
  t.match(out, /ports\.neutron_rpc\.ssl_enforce_hostname_verification +false/)
  const url = 'rabbit://u:p@h//?ssl=1&ssl_enforce_hostname_verification=0'
  const config = { ...neutronRpcDefaults, transportUrl: new Secret(url) }
  t.equal(withUrlOptions(config, parseTransportUrl(url).options).tls?.verifyHostname, false)
})

t.test('passwords are read as oslo.messaging reads them', async (t) => {
  const password = (text: string): string | undefined =>
    parseTransportUrl(`rabbit://u:${text}@h/`).brokers[0]?.password
  t.equal(password('50%off'), '50%off')
  t.equal(password('p%e4ss'), 'p\ufffdss', 'not UTF-8: replaced, as by urllib')
  t.equal(password('p%c3%a4ss%2F%'), 'päss/%')
})

t.test('check refuses what would end serve', async (t) => {
  const urls = ['rabbit://u:p/w@h/', 'rabbit://u:p#w@h/', 'amqps://u:p@h/']
  const hints = [/%2F/, /%23/, /ssl=true/]
  for (const [index, url] of urls.entries()) {
    const { code, error } = await check(t, ['[DEFAULT]', `transport_url = ${url}`, secret])
    t.equal(code, 2, url)
    t.match(error, hints[index], url)
    t.match(error, /neutron\.conf:2/, 'with file and line')
  }
  const user = await check(t, [
    '[DEFAULT]',
    broker,
    secret,
    'metadata_proxy_user = nobody-of-this-name',
  ])
  t.equal(user.code, 2)
  t.match(user.error, /listeners\[0\].*nobody-of-this-name/)
})

t.test('misspelt options are named, even in groups that do not apply', async (t) => {
  const { code, out } = await check(t, [
    '[DEFAULT]',
    broker,
    secret,
    '[oslo_messaging_rabbit]',
    'rabbit_quorum_queues = true',
    'heartbeat_timeout_treshold = 60',
    'kombu_reconnect_delay = 1.0',
    '[cache]',
    'enabeld = true',
  ])
  t.equal(code, 0)
  const [, unread = ''] = /Not read[^:]*: (.*)/.exec(out) ?? []
  t.match(unread, 'rabbit_quorum_queues (did you mean rabbit_quorum_queue?)')
  t.match(unread, 'heartbeat_timeout_treshold (did you mean heartbeat_timeout_threshold?)')
  t.match(unread, '[cache] enabeld (did you mean enabled?)')
  t.notMatch(unread, 'kombu_reconnect_delay', 'it is known and does not apply')
})

t.test('numbers beyond our ranges are moved into them and reported', async (t) => {
  const rpc = await check(t, [
    '[DEFAULT]',
    broker,
    secret,
    'rpc_response_timeout = 0',
    '[oslo_messaging_rabbit]',
    'rabbit_transient_queues_ttl = 30',
    'heartbeat_timeout_threshold = 900',
  ])
  t.equal(rpc.code, 0, rpc.error)
  const ofRpc = (option: string, given: string, taken: string, line: number): void =>
    isMoved(t, rpc, `ports.neutron_rpc.${option}`, given, taken, line)
  ofRpc('rpc_response_timeout', '0ms', '1s', 4)
  ofRpc('rabbit_transient_queues_ttl', '30000ms', '1m', 6)
  ofRpc('heartbeat', '900000ms', '10m', 7)
  const ovn = await check(t, [
    '[DEFAULT]',
    secret,
    '[ovn]',
    'ovn_sb_connection = tcp:192.0.2.1:6642',
    'ovsdb_connection_timeout = 3601',
    'ovsdb_probe_interval = 3600000',
  ])
  t.equal(ovn.code, 0, ovn.error)
  isMoved(t, ovn, 'ports.ovn.ovsdb_connection_timeout', '3601000ms', '1h', 5)
  isMoved(t, ovn, 'ports.ovn.timeout_probe', '7200000ms', '1h', 6)
  t.match(ovn.out, /ports\.ovn\.ovsdb_probe_interval +2s +\S+neutron\.conf:6/)
})

/** Reported as moved, and in force. */
function isMoved(
  t: Test,
  { out }: Checked,
  option: string,
  given: string,
  taken: string,
  line: number,
): void {
  t.match(out, `${option}, as ${taken}, because ${given} is outside its range`)
  const inForce = out.split('\n').find((one) => one.startsWith(`${option} `))
  t.match(inForce, new RegExp(` ${taken} .*neutron\\.conf:${line}$`), option)
}

t.test(
  'certificates for https count for nothing while requests go to Nova over http',
  async (t) => {
    const { code, out } = await check(t, [
      '[DEFAULT]',
      broker,
      secret,
      'auth_ca_cert = /nowhere/ca.pem',
      'nova_client_cert = /nowhere/cert.pem',
      'nova_client_priv_key = /nowhere/key.pem',
    ])
    t.equal(code, 0)
    t.match(out, /auth_ca_cert +requests go to Nova over http/)
  },
)

t.test('a wrong address of Nova blames its own option, with file and line', async (t) => {
  const port = await check(t, ['[DEFAULT]', broker, secret, 'nova_metadata_port ='])
  t.equal(port.code, 2)
  t.match(port.error, /neutron\.conf:4: \[DEFAULT\] nova_metadata_port: it is empty/)
  const host = await check(t, [
    '[DEFAULT]',
    broker,
    secret,
    'nova_metadata_host = 192.0.2.9 #controller',
  ])
  t.equal(host.code, 2)
  t.match(host.error, /neutron\.conf:4: \[DEFAULT\] nova_metadata_host: .*a comment needs a line/)
})

t.test('the options before transport_url are named as too old', async (t) => {
  const { code, error } = await check(t, ['[DEFAULT]', secret, 'rabbit_hosts = a:5672,b:5672'])
  t.equal(code, 2)
  t.match(error, /neutron\.conf:3: .*rabbit_hosts is too old: write .*transport_url/)
})

t.test('an application credential is taken over for neutron-rest', async (t) => {
  const { code, out, error } = await check(
    t,
    [
      '[DEFAULT]',
      secret,
      '[keystone_authtoken]',
      'auth_type = v3applicationcredential',
      'auth_url = http://192.0.2.1:5000',
      'application_credential_id = 5f1c',
      'application_credential_secret = hidden',
    ],
    '--neutron-directory',
    'neutron-rest',
  )
  t.equal(code, 0, error)
  t.match(out, /ports\.neutron_rest\.auth_type +application_credential/)
  t.notMatch(out, 'hidden')
})
