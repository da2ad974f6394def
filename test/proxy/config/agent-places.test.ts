import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLogger } from '../../../lib/runtime/log.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { agentPlaceText, parseAgentPlace } from '../../../proxy/config/agent-places.ts'
import { proxyConfig, type ProxyConfig } from '../../../proxy/config/config.ts'
import { AgentAddresses } from '../../../proxy/supervisor/agent-addresses.ts'
import type { AgentAddress } from '../../../proxy/worker/shared/protocol.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'
import { replaceFile, TestAuthority, withoutOpenssl } from '../../support/test-authority.ts'

t.test('parseAgentPlace() takes paths and https URLs without more', async (t) => {
  for (const text of ['/run/a.sock', 'https://agent.example:9699', 'https://[2001:db8::1]:1']) {
    const place = parseAgentPlace(text, '/etc')
    t.equal(place && agentPlaceText(place), text)
  }
  t.strictSame(parseAgentPlace('a.sock', '/etc'), { kind: 'unix', socket: '/etc/a.sock' })
  for (const bad of [
    'http://agent:9699',
    'https://agent',
    'https://agent:0',
    'https://agent:65536',
    'https://user@agent:1',
    'https://agent:1/x',
    'https://agent:1?x',
    'https://a b:1',
    'https://:1',
    'https://-a:1',
    'unix:/run/x',
    'HTTPS://agent:1',
    '',
    'a\0b',
    7,
  ]) {
    t.equal(parseAgentPlace(bad, '/etc'), undefined, String(bad))
  }
})

function configOf(folder: string, document: Readonly<Record<string, unknown>>): ProxyConfig {
  const file = join(folder, 'proxy.yaml')
  writeFileSync(file, JSON.stringify(document))
  return loadConfig(proxyConfig.table, {
    file,
    environment: {},
    environmentPrefix: proxyConfig.environmentPrefix,
    check: (config) => proxyConfig.check?.(config) ?? [],
  }).config
}

t.test('agents: what does not fit together is refused', { skip: withoutOpenssl() }, async (t) => {
  const folder = scratchFolder(t)
  const authority = new TestAuthority(folder)
  const { certificateFile, keyFile } = authority.issue({ commonName: 'host-a' })
  const tls = { ca_file: authority.caFile, certificate_file: certificateFile, key_file: keyFile }
  const remote = 'https://192.0.2.1:9699'
  t.strictSame(configOf(folder, {}).agents, [{ kind: 'unix', socket: '/run/overlapd/agent.sock' }])
  t.ok(configOf(folder, { agents: ['/run/a.sock', remote], agent: { tls } }))
  for (const [document, complaint] of [
    [{ agents: [remote] }, /agent\.tls: must be given/],
    [{ agents: ['/run/a.sock'], agent: { tls } }, /agent\.tls: is given/],
    [{ agents: [remote, remote], agent: { tls } }, /more than once/],
    [{ agents: [] }, /names no agent/],
    [{ agent: { socket: '/run/b.sock' } }, /agent\.socket: unknown key/],
    [{ agents: [remote], agent: { tls: { ...tls, key_file: '/nowhere' } } }, /Cannot read/],
    [{ agents: [remote], agent: { tls: { ...tls, server_name: '*.x' } } }, /is not a DNS name/],
  ] as const) {
    t.throws(() => configOf(folder, document), { message: complaint })
  }
})

t.test(
  'AgentAddresses hands out a new certificate when its files change',
  { skip: withoutOpenssl() },
  async (t) => {
    const folder = scratchFolder(t)
    const authority = new TestAuthority(folder)
    const first = authority.issue({ commonName: 'host-a' })
    const second = authority.issue({ commonName: 'host-a' })
    const config = configOf(folder, {
      agents: ['https://192.0.2.1:9699', '/run/a.sock'],
      agent: {
        tls: {
          ca_file: authority.caFile,
          certificate_file: first.certificateFile,
          key_file: first.keyFile,
          server_name: 'agent.example',
        },
      },
    })
    const heard: (readonly AgentAddress[])[] = []
    const addresses = new AgentAddresses({
      config,
      clock: new FakeClock(),
      logger: silentLogger,
      onChange: (now) => heard.push(now),
    })
    t.teardown(() => addresses.close())
    const [remote, local] = addresses.addresses
    t.match(remote, { kind: 'tls', host: '192.0.2.1', serverName: 'agent.example' })
    t.strictSame(local, { kind: 'unix', socket: '/run/a.sock' })
    addresses.start()
    replaceFile(second.certificateFile, first.certificateFile)
    addresses.reload()
    t.match(addresses.certificate?.refusal, /used together/)
    t.equal(heard.length, 0)
    replaceFile(second.keyFile, first.keyFile)
    addresses.reload()
    t.equal(heard.length, 1)
    t.strictSame(heard[0], addresses.addresses)
    t.not(JSON.stringify(heard[0]?.[0]), JSON.stringify(remote))
  },
)
