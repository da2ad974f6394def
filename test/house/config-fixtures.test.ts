import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../lib/config/config-error.ts'
import { loadConfig } from '../../lib/config/load.ts'
import {
  bytes,
  duration,
  fileMode,
  flag,
  integer,
  oneOf,
  path,
  text,
} from '../../lib/config/option.ts'
import { secretFile } from '../../lib/config/secret-file.ts'
import { list, record, section } from '../../lib/config/structure.ts'
import { logLevels } from '../../lib/runtime/log.ts'
import { projectPaths, projectRoot } from '../support/source-files.ts'

const help = 'For the fixtures.'
/** One option of each kind. */
const table = {
  log_level: oneOf(logLevels, { help, default: 'info' }),
  agent: section({
    socket: path({ help, default: '/run/agent.sock' }),
    connections: integer({ help, default: 4, min: 1, max: 64 }),
    timeout_connect: duration({ help, default: '2s', min: '1ms', max: '1h' }),
    direct: flag({ help, default: false }),
    socket_mode: fileMode({ help, default: '0660' }),
    shared_secret: secretFile({ help }),
  }),
  limits: section({ body_bytes: bytes({ help, default: '64KiB' }) }),
  upstreams: list(
    section({
      host: text({ help }),
      tcp_port: integer({ help, default: 8775, min: 1, max: 65_535 }),
    }),
    { help, default: [] },
  ),
  mappings: record(text({ help }), { help, default: {} }),
}

const folder = 'test/fixtures/config'
const fixtures = projectPaths([folder])

/** What an operator reads, with the paths of the fixtures as if one stood beside them. */
function complaint(file: string): string {
  try {
    loadConfig(table, {
      file: join(projectRoot, file),
      environment: {},
      environmentPrefix: 'OVERLAPD_FIXTURE',
    })
    return 'nothing is wrong'
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return `${thrown.message.replaceAll(join(projectRoot, folder, '/'), '')}\n`
  }
}

t.test('each invalid configuration has its message beside it', async (t) => {
  t.ok(fixtures.length >= 16)
  for (const file of fixtures) {
    const other = file.endsWith('.yaml')
      ? file.replace(/yaml$/, 'txt')
      : file.replace(/txt$/, 'yaml')
    t.match(basename(file), /^invalid-[a-z-]+\.(?:yaml|txt)$/)
    t.ok(fixtures.includes(other), `${file} has ${other}`)
  }
})

for (const file of fixtures.filter((each) => each.endsWith('.yaml'))) {
  t.test(`${basename(file)} is refused with exactly its message`, async (t) => {
    const expected = readFileSync(join(projectRoot, file.replace(/yaml$/, 'txt')), 'utf8')
    t.equal(complaint(file), expected)
  })
}
