import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { loadConfig, type LoadOptions } from '../../../lib/config/load.ts'
import { duration, integer, bytes, flag, oneOf, path, text } from '../../../lib/config/option.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { list, optional, record, section } from '../../../lib/config/structure.ts'
import { ConfigError, problemText } from '../../../lib/config/config-error.ts'
import type { ConfigOf } from '../../../lib/config/entry.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

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
  directory: section({
    file: path({ help: 'F' }),
    endpoints: optional(list(text({ help: 'E' }), { help: 'Es' })),
  }),
}
type Loaded = ConfigOf<typeof table>

function load(t: Test, yaml: string, more: Partial<LoadOptions<typeof table>> = {}) {
  const dir = scratchFolder(t)
  writeFileSync(`${dir}/proxy.yaml`, yaml)
  return loadConfig(table, {
    file: `${dir}/proxy.yaml`,
    environment: {},
    environmentPrefix: 'OVERLAPD_PROXY',
    ...more,
  })
}

const least = 'directory: { file: ports.yaml }\n'

t.test('loadConfig() types its values after the table', async (t) => {
  const { config } = load(t, least)
  const typed: Loaded = config
  const level: 'debug' | 'info' = typed.log_level
  const host: string | undefined = typed.upstreams[0]?.host
  t.equal(level, 'info')
  t.equal(host, undefined)
  t.match(typed.directory.file, /\/ports\.yaml$/)
  t.equal(typed.agent.timeout_connect, 2000)
  t.equal(typed.tls, undefined)
})

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems.map(problemText)
    throw thrown
  }
  return []
}

t.test(
  'loadConfig() lets flags win over the environment, that over the file, that over defaults',
  async (t) => {
    const yaml = `${least}agent: { socket: /file.sock, connections: 2, timeout_connect: 3 }\n`
    const { config, rows } = load(t, yaml, {
      environment: {
        OVERLAPD_PROXY_AGENT_CONNECTIONS: '3',
        OVERLAPD_PROXY_AGENT_TIMEOUT_CONNECT: '500ms',
        OTHER: 'x',
      },
      set: ['agent.timeout_connect=4s', 'agent.timeout_connect=5s'],
    })
    t.match(config.agent, {
      socket: '/file.sock',
      connections: 3,
      timeout_connect: 5000,
      direct: false,
    })
    const from = Object.fromEntries(rows.map((row) => [row.path, row.origin]))
    t.match(from['agent.socket'], { kind: 'file', file: /proxy\.yaml$/, line: 2 })
    t.strictSame(from['agent.connections'], {
      kind: 'environment',
      name: 'OVERLAPD_PROXY_AGENT_CONNECTIONS',
    })
    t.strictSame(from['agent.timeout_connect'], {
      kind: 'flag',
      text: '--set agent.timeout_connect',
    })
    t.strictSame(from['agent.direct'], { kind: 'default' })
  },
)

t.test('loadConfig() lets the later of two files win, option by option', async (t) => {
  const dir = t.testdir({
    'one.yaml': `${least}agent: { connections: 1, direct: true }\n`,
    'two.yaml': 'agent: { connections: 2 }\nlog_level: debug\n',
  })
  const { config, files } = load(t, '', { file: [`${dir}/one.yaml`, `${dir}/two.yaml`] })
  t.match(config, { log_level: 'debug', agent: { connections: 2, direct: true } })
  t.equal(files.length, 2)
})

t.test(
  'loadConfig() takes sections and lists as JSON from the environment and flags',
  async (t) => {
    const { config } = load(t, least, {
      environment: {
        OVERLAPD_PROXY_AGENT: '{"connections":5,"direct":true}',
        OVERLAPD_PROXY_AGENT_CONNECTIONS: '6',
        OVERLAPD_PROXY_UPSTREAMS: '[{"host":"nova"}]',
      },
      set: ['mappings={"a":"b"}', 'directory={"file":"/ports","endpoints":["tcp:x"]}'],
    })
    t.match(config.agent, { connections: 6, direct: true })
    t.strictSame(config.upstreams, [{ host: 'nova', wait: 1000 }])
    t.strictSame(config.mappings, { a: 'b' })
    t.strictSame(config.directory, { file: '/ports', endpoints: ['tcp:x'] })
  },
)

t.test(
  'loadConfig() finds the file by argument, by variable, or where it usually is',
  async (t) => {
    const dir = t.testdir({ 'a.yaml': `${least}name: a`, 'b.yaml': `${least}name: b` })
    const nameFrom = (more: Partial<LoadOptions<typeof table>>) =>
      load(t, '', { file: undefined, ...more }).config.name
    const environment = { OVERLAPD_PROXY_CONFIG: `${dir}/b.yaml` }
    t.equal(nameFrom({ defaultFile: `${dir}/a.yaml` }), 'a')
    t.equal(nameFrom({ defaultFile: `${dir}/a.yaml`, environment }), 'b')
    t.equal(nameFrom({ file: `${dir}/a.yaml`, environment }), 'a')
    t.strictSame(
      problemsOf(() => nameFrom({ defaultFile: `${dir}/none.yaml` })),
      ['directory.file: must be given: a path'],
    )
    t.match(
      problemsOf(() => nameFrom({ file: `${dir}/none.yaml` })),
      [/none\.yaml: Cannot read the file: ENOENT/],
    )
  },
)

t.test('loadConfig() freezes what it gives, through and through', async (t) => {
  const { config } = load(t, `${least}upstreams: [{ host: nova }]\n`)
  t.ok(Object.isFrozen(config))
  t.ok(Object.isFrozen(config.agent))
  t.ok(Object.isFrozen(config.upstreams[0]))
})

t.test('loadConfig() reads an optional section only when something of it is given', async (t) => {
  t.equal(load(t, least).config.tls, undefined)
  t.match(load(t, `${least}tls: { certificate: /c }`).config.tls, { certificate: '/c' })
  const environment = { OVERLAPD_PROXY_TLS_CERTIFICATE: '/e' }
  t.match(load(t, least, { environment }).config.tls, { certificate: '/e' })
  t.strictSame(
    problemsOf(() => load(t, `${least}tls: {}\n`)),
    ['tls.certificate: must be given: a path'],
  )
})

t.test('loadConfig() reports every problem at once, each with its place', async (t) => {
  const yaml = `${least}agent:\n  connections: many\n  sockt: /x\nlog_level: loud\nupstreams:\n  - { host: 5 }\n  - {}\n`
  const problems = problemsOf(() =>
    load(t, yaml, {
      environment: {
        OVERLAPD_PROXY_AGENT_DIRECT: 'maybe',
        OVERLAPD_PROXY_AGENT_SOKET: '/x',
        OVERLAPD_PROXY_MAPPINGS: 'hunter2',
      },
      set: ['limits.body_bytes=64kB', 'agent.conections=3', 'name'],
    }),
  )
  t.strictSame(
    problems.map((problem) => problem.replaceAll(/\/\S*\/proxy\.yaml/g, 'proxy.yaml')),
    [
      'log_level: "loud" is not one of debug, info (proxy.yaml:5)',
      'agent.sockt: unknown key; did you mean agent.socket? (proxy.yaml:4)',
      'agent.connections: "many" is not a whole number from 1 to 64 (proxy.yaml:3)',
      'agent.direct: "maybe" is not true or false (OVERLAPD_PROXY_AGENT_DIRECT)',
      'limits.body_bytes: "64kB" is not a size in bytes such as 65536 or 64KiB (--set limits.body_bytes)',
      'upstreams[0].host: 5 is not text (proxy.yaml:7)',
      'upstreams[1].host: must be given: text',
      'mappings: the text is not JSON; expected a mapping of names, each to text, written as JSON (OVERLAPD_PROXY_MAPPINGS)',
      'OVERLAPD_PROXY_AGENT_SOKET: unknown variable; did you mean OVERLAPD_PROXY_AGENT_SOCKET?',
      '--set agent.conections: unknown key; did you mean agent.connections?',
      '--set name: expected KEY=VALUE',
    ],
  )
})

t.test('loadConfig() runs the check only once all options are right', async (t) => {
  const check = (config: Loaded) => [
    { path: 'agent', message: `${config.agent.connections} is odd` },
  ]
  t.strictSame(
    problemsOf(() => load(t, least, { check, set: ['agent.connections=3'] })),
    ['agent: 3 is odd'],
  )
  t.notMatch(
    problemsOf(() => load(t, least, { check, set: ['agent.connections=0'] })),
    ['agent: 0 is odd'],
  )
})

t.test('loadConfig() cannot be led to the prototype of an object', async (t) => {
  const { config } = load(t, `${least}mappings: { __proto__: x, constructor: y }\n`)
  t.strictSame(Object.keys(config.mappings).toSorted(), ['__proto__', 'constructor'])
  t.equal(Object.getPrototypeOf(config.mappings), Object.prototype)
  t.match(
    problemsOf(() => load(t, `${least}__proto__: { log_level: debug }\n`)),
    [/__proto__: unknown key/],
  )
})
