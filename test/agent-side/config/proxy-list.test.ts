import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import { parseScopeGrant, proxyNamePattern } from '../../../agent-side/peers/proxy-grants.ts'
import { proxyFileProblems, readProxyList } from '../../../agent-side/config/proxy-list.ts'
import { ConfigError } from '../../../lib/config/config-error.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { TestAuthority, withoutOpenssl } from '../../support/test-authority.ts'

t.test('parseScopeGrant() takes ids and the one star, no patterns', async (t) => {
  for (const good of ['*', 'router/r-1', 'network/91c0e2aa-0000-4000-8000-000000000001']) {
    t.equal(parseScopeGrant(good), good)
  }
  for (const bad of [
    '',
    '**',
    'router/*',
    'router/',
    'router',
    '/x',
    'network/a b',
    'Router/x',
    'ovn/x',
    'router/x\n',
    'router/x/y',
    ' router/x',
    7,
    undefined,
    null,
  ]) {
    t.equal(parseScopeGrant(bad), undefined, String(bad))
  }
})

t.test('names of proxies hold nothing that reads like a pattern', async (t) => {
  for (const good of ['host-a', 'h', 'compute_1.example', 'A.B']) t.match(good, proxyNamePattern)
  for (const bad of ['*', '*.example', '.example', 'a.', 'a b', 'a\0', 'a\n', 'a/b', '', 'a,b']) {
    t.notMatch(bad, proxyNamePattern, JSON.stringify(bad))
  }
})

t.test('readProxyList() reads a file, and reports every problem of it', async (t) => {
  const file = join(scratchFolder(t), 'proxies.yaml')
  writeFileSync(file, 'proxies:\n  - name: host-a\n    scopes: [router/r, "*"]\n')
  t.strictSame(readProxyList(file), [{ name: 'host-a', scopes: ['router/r', '*'] }])
  t.strictSame(proxyFileProblems(file, 'listeners[0].proxies_file'), [])
  writeFileSync(file, 'proxies:\n  - name: "*"\n    scopes: [r]\n  - scopes: []\nmore: 1\n')
  const problems = proxyFileProblems(file, 'listeners[0].proxies_file')
  t.equal(problems.length, 4)
  t.match(problems[0], { path: /^listeners\[0\]\.proxies_file: / })
  t.throws(() => readProxyList(`${file}.none`), ConfigError)
})

t.test('TCP without mutual TLS is refused', { skip: withoutOpenssl() }, async (t) => {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const { certificateFile, keyFile } = authority.issue({ commonName: 'agent' })
  writeFileSync(join(folder, 'secret'), 'x', { mode: 0o600 })
  const tcp = '127.0.0.1:9699'
  const tls = {
    certificate_file: certificateFile,
    key_file: keyFile,
    ca_file: authority.caFile,
  }
  const proxies = [{ name: 'host-a', scopes: ['*'] }]
  const complaintsOf = (listener: Readonly<Record<string, unknown>>): string => {
    const file = join(folder, 'agent.yaml')
    writeFileSync(
      file,
      JSON.stringify({
        listeners: [listener],
        ports: { kind: 'static', static: { file: 'x' } },
        compute: { shared_secret_file: 'secret' },
      }),
    )
    const options = { environment: {}, environmentPrefix: agentConfig.environmentPrefix, file }
    try {
      loadConfig(agentConfig.table, {
        ...options,
        check: (config) => agentConfig.check?.(config) ?? [],
      })
      return ''
    } catch (thrown) {
      return String(thrown)
    }
  }
  t.equal(complaintsOf({ tcp, tls, proxies }), '')
  const wrong: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ tcp, proxies }, /tls: must be given/],
    [{ tcp, tls: {}, proxies }, /certificate_file: must be given/],
    [{ tcp, tls: { ...tls, ca_file: undefined }, proxies }, /ca_file: must be given/],
    [{ tcp, tls }, /proxies: names no proxy/],
    [{ tcp, tls, proxies, kind: 'neutron' }, /kind: must be overlapd/],
    [{ tcp, tls, proxies, socket: '/run/x.sock' }, /socket: does not work together with tcp/],
    [{ tcp, tls, proxies: [...proxies, { name: 'HOST-A', scopes: [] }] }, /more than once/],
    [{ tcp, tls, proxies, proxies_file: '/nowhere' }, /cannot both be given/],
    [{ tcp, tls, proxies_file: '/nowhere' }, /Cannot read the file/],
    [{ tcp, tls: { ...tls, key_file: authority.caFile }, proxies }, /cannot be used together/],
    [{ tcp, tls, proxies_by_chassis: true }, /needs ports.kind ovn with copy all/],
    [{ proxies_by_chassis: true }, /need tcp/],
    [{ tls, proxies }, /need tcp/],
    [{ proxies }, /need tcp/],
    [{ tcp: 'agent.example:9699', tls, proxies }, /is not an IP address with a port/],
  ]
  for (const [listener, complaint] of wrong) t.match(complaintsOf(listener), complaint)
})
