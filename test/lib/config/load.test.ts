import t, { type Test } from 'tap'
import { loadConfig, type LoadOptions } from '../../../lib/config/load.ts'
import { duration, integer, bytes, flag, oneOf, path, text } from '../../../lib/config/option.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { list, optional, record, section, variant } from '../../../lib/config/structure.ts'
import type { ConfigOf } from '../../../lib/config/entry.ts'

const table = {
  log_level: oneOf(['debug', 'info'], { help: 'How much is logged.', default: 'info' }),
  agent: section({
    socket: path({ help: 'The agent.', default: '/run/agent.sock' }),
    connections: integer({ help: 'How many.', default: 4, min: 1, max: 64 }),
    timeout_connect: duration({ help: 'How long.', default: '2s', max: '1h' }),
    direct: flag({ help: 'Directly.', default: false }),
  }),
  limits: section({ body_bytes: bytes({ help: 'Largest body.', default: '64KiB' }) }),
  shared_secret: secretFile({ help: 'The key.' }),
  tls: optional(
    section({ certificate: path({ help: 'PEM.' }), key: secretFile({ help: 'PEM.' }) }),
  ),
  name: optional(text({ help: 'A name.' })),
  upstreams: list(
    section({ host: text({ help: 'Host.' }), wait: duration({ help: 'W', default: 1 }) }),
    {
      help: 'Where Nova is.',
      default: [],
    },
  ),
  mappings: record(text({ help: 'An id.' }), { help: 'Names.', default: {} }),
  directory: variant(
    'kind',
    {
      static: { file: path({ help: 'F' }) },
      ovn: { endpoints: list(text({ help: 'E' }), { help: 'Es' }) },
    },
    { help: 'Where ports come from.' },
  ),
}
type Loaded = ConfigOf<typeof table>

function load(t: Test, yaml: string, more: Partial<LoadOptions<typeof table>> = {}) {
  const dir = t.testdir({ 'proxy.yaml': yaml })
  return loadConfig(table, {
    file: `${dir}/proxy.yaml`,
    environment: {},
    environmentPrefix: 'OVERLAPD_PROXY',
    ...more,
  })
}

const least = 'directory: { kind: static, file: ports.yaml }\n'

t.test('loadConfig() types its values after the table', async (t) => {
  const { config } = load(t, least)
  const typed: Loaded = config
  const level: 'debug' | 'info' = typed.log_level
  const host: string | undefined = typed.upstreams[0]?.host
  t.equal(level, 'info')
  t.equal(host, undefined)
  if (typed.directory.kind === 'static') t.match(typed.directory.file, /\/ports\.yaml$/)
  t.equal(typed.agent.timeout_connect, 2000)
  t.equal(typed.tls, undefined)
})
