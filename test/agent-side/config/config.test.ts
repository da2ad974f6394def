import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agentConfig, type AgentConfig } from '../../../agent-side/config/config.ts'
import { ConfigError } from '../../../lib/config/config-error.ts'
import { loadConfig } from '../../../lib/config/load.ts'
import { configReport, configReportData } from '../../../lib/config/report.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

function load(t: Test, document: Record<string, unknown>) {
  const folder = scratchFolder(t)
  const file = join(folder, 'agent.yaml')
  writeFileSync(join(folder, 'secret'), 's3cr3t\n', { mode: 0o600 })
  writeFileSync(file, JSON.stringify(document))
  const { table, environmentPrefix } = agentConfig
  const check = (config: AgentConfig) => agentConfig.check?.(config) ?? []
  return loadConfig(table, { file, environment: {}, environmentPrefix, check })
}

function problemsOf(t: Test, document: Record<string, unknown>): string {
  try {
    load(t, document)
    return 'none'
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return thrown.message
  }
}

const good = {
  ports: { static: { file: 'topology.yaml' } },
  compute: { shared_secret_file: 'secret' },
}

t.test('the smallest configuration has one listener and one upstream', async (t) => {
  const config = load(t, good).config
  t.match(config.listeners, [{ kind: 'overlapd', socket: '/run/overlapd/agent.sock', mode: 0o660 }])
  t.strictSame(config.compute.upstreams, ['http://127.0.0.1:8775'])
  t.equal(config.compute.shared_secret?.reveal(), 's3cr3t')
  t.equal(config.source_mac, 'prefer')
})

t.test('reports write file modes as operators do, in octal', async (t) => {
  const loaded = load(t, good)
  const report = JSON.stringify(configReportData(loaded).options)
  t.match(report, /"path":"admin.mode","value":"0600"/)
  t.match(report, /"path":"listeners","value":\[{[^}]*"mode":"0660"/)
  t.notMatch(report + configReport(loaded), /"mode":\d/)
})

t.test('unsafe or impossible combinations do not start', async (t) => {
  const compute = good.compute
  for (const [change, message] of [
    [{ compute: {} }, /compute.shared_secret_file: must be given/],
    [{ compute: { ...compute, allow_empty_secret: true } }, /allow_empty_secret: is true although/],
    [
      { compute: { allow_empty_secret: true, next_shared_secret_file: 'secret' } },
      /next_shared_secret_file: needs/,
    ],
    [{ compute: { ...compute, tls: { certificate_file: 'x' } } }, /only work together/],
    [{ compute: { ...compute, upstreams: [] } }, /names no endpoint/],
    [{ compute: { ...compute, concurrency: 16 } }, /concurrency_start: 32 must lie between/],
    [{ compute: { ...compute, concurrency_min: 33 } }, /concurrency_start: 32 must lie between/],
    [{ compute: { ...compute, upstreams: ['http://nova/prefix'] } }, /without a path/],
    [{ compute: { ...compute, upstreams: ['ftp://nova'] } }, /http or https/],
    [{ listeners: [] }, /names no listener/],
    [{ listeners: [{ mode: '0666' }] }, /lets every user of the host claim to be any instance/],
    [{ listeners: [{ socket: '/a' }, { socket: '/a', kind: 'neutron' }] }, /used for two sockets/],
    [{ ports: {} }, /ports: no source of ports is configured: set ports\.kind \(neutron-rest, /],
    [{ ports: { kind: 'ovn' } }, /ports.ovn: must be given/],
    [
      { ports: { kind: 'neutron-rest', static: { file: 'x' } } },
      /ports.neutron_rest: must be given/,
    ],
    [{ shield: { network_tags: true } }, /shield.network_tags: needs ports.kind neutron-rest/],
    [{ source_mac: 'maybe' }, /source_mac/],
    [{ sauce_mac: 'off' }, /unknown key/],
  ] as const) {
    t.match(problemsOf(t, { ...good, ...change }), message, JSON.stringify(change))
  }
})

t.test('an empty secret works when it is configured by name', async (t) => {
  t.equal(problemsOf(t, { ...good, compute: { allow_empty_secret: true } }), 'none')
})
