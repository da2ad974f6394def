import t from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import { reportedConfigurations } from '../../../agent-side/config/neutron-agent-report.ts'
import { loadConfig } from '../../../lib/config/load.ts'

function reported(document: Readonly<Record<string, unknown>>): unknown {
  const { config } = loadConfig(agentConfig.table, {
    documents: [{ value: document, directory: '/', originOf: () => ({ kind: 'default' }) }],
    environment: {},
    environmentPrefix: 'X',
  })
  return reportedConfigurations(config)
}

t.test("reportedConfigurations() gives what is configured in the words of Neutron's agent", (t) => {
  t.match(reported({}), {
    metadata_proxy_socket: '/run/overlapd/agent.sock',
    nova_metadata_host: '127.0.0.1',
    nova_metadata_port: 8775,
    log_agent_heartbeats: false,
    overlapd_version: /^\d/,
  })
  t.match(
    reported({
      listeners: [
        { tcp: '192.0.2.1:9699' },
        { kind: 'neutron', socket: '/var/lib/neutron/metadata_proxy' },
      ],
      compute: { upstreams: ['https://[fd00::8]', 'http://192.0.2.9:8775'] },
    }),
    {
      metadata_proxy_socket: '/var/lib/neutron/metadata_proxy',
      nova_metadata_host: 'fd00::8',
      nova_metadata_port: 443,
    },
  )
  t.end()
})

t.test('reportedConfigurations() gives no secret away', (t) => {
  const document = { compute: { allow_empty_secret: true } }
  t.strictSame(Object.keys(Object(reported(document))), [
    'metadata_proxy_socket',
    'nova_metadata_host',
    'nova_metadata_port',
    'log_agent_heartbeats',
    'overlapd_version',
  ])
  t.end()
})
