import { readFileSync } from 'node:fs'
import t from 'tap'
import { scopeText } from '../../../lib/identity/scope.ts'
import { tcpAddressText } from '../../../lib/identity/tcp-address.ts'
import { parseNeutronHaproxyConfig } from '../../../proxy/haproxy-shim/neutron-config.ts'

const id = '6a4f4e4c-3f62-4d6e-9f0e-3d1a2b0c9d10'

function fixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/haproxy/${name}.conf`, import.meta.url), 'utf8')
}

function summary(text: string): Record<string, unknown> {
  const { identity, listen, ignored } = parseNeutronHaproxyConfig(text)
  return {
    scope: scopeText(identity.scope),
    flavour: identity.flavour,
    listen: listen.map(tcpAddressText),
    ignored,
  }
}

t.test('parseNeutronHaproxyConfig() reads what Neutron writes for a router', async (t) => {
  const text = fixture('neutron-21-router')
  t.same(summary(text), {
    scope: `router/${id}`,
    flavour: 'ml2',
    listen: ['[::]:9697'],
    ignored: [],
  })
  t.match(parseNeutronHaproxyConfig(text), {
    pidFile: `/var/lib/neutron/external/pids/${id}.pid.haproxy`,
    agentSocket: '/var/lib/neutron/metadata_proxy',
    user: 'root',
    group: 'root',
    logTag: `haproxy-metadata-proxy-${id}`,
  })
})

t.test('parseNeutronHaproxyConfig() reads both addresses of a network with IPv6', async (t) => {
  t.same(summary(fixture('neutron-21-network')), {
    scope: `network/${id}`,
    flavour: 'ml2',
    listen: ['169.254.169.254:80', '[fe80::a9fe:a9fe%tap1234abcd-ef]:80'],
    ignored: [],
  })
})

t.test('parseNeutronHaproxyConfig() gives the network as OVN does', async (t) => {
  t.same(summary(fixture('neutron-21-ovn')), {
    scope: `network/${id}`,
    flavour: 'ovn',
    listen: ['169.254.169.254:80'],
    ignored: [],
  })
})

t.test('parseNeutronHaproxyConfig() names what has no effect', async (t) => {
  t.same(summary(fixture('rate-limiting')), {
    scope: `network/${id}`,
    flavour: 'ml2',
    listen: ['169.254.169.254:80'],
    ignored: [
      'http-request track-sc0',
      'http-request track-sc1',
      'http-request deny',
      'stick-table',
    ],
  })
})

t.test('parseNeutronHaproxyConfig() takes an address in brackets', async (t) => {
  const text = fixture('neutron-21-network').replace(
    'bind fe80::a9fe:a9fe:80',
    'bind [fe80::a9fe:a9fe]:80',
  )
  t.same(summary(text)['listen'], ['169.254.169.254:80', '[fe80::a9fe:a9fe%tap1234abcd-ef]:80'])
})

const header = `http-request set-header X-Neutron-Router-ID ${id}`
const hostile: readonly (readonly [what: string, from: string, to: string, why: RegExp])[] = [
  ['no identity', header, '', /no header names the router/],
  ['two identities', header, `${header}\n${header.replace('6a4f', '7b5f')}`, /more than one/],
  [
    'two kinds',
    header,
    `${header}\nhttp-request add-header X-OVN-Network-ID ${id}`,
    /more than one/,
  ],
  ['an id with a variable', id, '%[src]', /needs exactly one plain/],
  ['a quoted id', `ID ${id}`, `ID "${id}"`, /needs exactly one plain id/],
  ['a condition', header, `${header} if TRUE`, /needs exactly one plain id/],
  ['a replaced header', header, header.replace('set-header', 'replace-header'), /plain id/],
  ['an id that leaves the folder', `ID ${id}`, 'ID ../../etc/passwd', /needs exactly one plain id/],
  ['no address', 'bind :::9697', '', /no address/],
  ['the same address twice', 'bind :::9697', 'bind :::9697\nbind :::9697', /given twice/],
  ['a port of 0', 'bind :::9697', 'bind :::0', /line \d+ cannot be used/],
  ['a name for an address', 'bind :::9697', 'bind localhost:9697', /one address with a port/],
  ['a zone in an address', 'bind :::9697', 'bind fe80::1%lo:80', /one address with a port/],
  ['other words of bind', 'bind :::9697', 'bind :::9697 ssl crt /x', /is not supported/],
  ['a socket of haproxy', 'bind :::9697', 'bind /run/x.sock', /one address with a port/],
  ['a relative pid file', 'pidfile     /var', 'pidfile var', /absolute path/],
  ['two pid files', 'pidfile', 'pidfile /etc/x\n    pidfile', /given twice/],
]

for (const [what, from, to, why] of hostile) {
  t.test(`parseNeutronHaproxyConfig() refuses ${what}`, async (t) => {
    const text = fixture('neutron-21-router')
    const changed = text.replace(from, to)
    t.not(changed, text)
    t.throws(() => parseNeutronHaproxyConfig(changed), { name: 'SyntaxError', message: why })
  })
}

t.test('parseNeutronHaproxyConfig() reads no more than it should', async (t) => {
  const text = fixture('neutron-21-router')
  t.throws(() => parseNeutronHaproxyConfig(`${text}${'#'.repeat(70_000)}`), /too long/)
  t.throws(() => parseNeutronHaproxyConfig(`${text}${'\n'.repeat(2_000)}`), /too many lines/)
  const binds = Array.from({ length: 17 }, (_, index) => `bind 10.0.0.${index}:80`).join('\n')
  t.throws(
    () => parseNeutronHaproxyConfig(text.replace('bind :::9697', binds)),
    /too many addresses/,
  )
})

t.test(
  'parseNeutronHaproxyConfig() takes identity and addresses of the listen section alone',
  async (t) => {
    const text = fixture('neutron-21-router').replace('listen listener', 'frontend listener')
    t.throws(() => parseNeutronHaproxyConfig(text), /no header names the router/)
  },
)
