import { writeFileSync } from 'node:fs'
import t from 'tap'
import { loadConfig } from '../../../lib/config/load.ts'
import { duration, integer, oneOf, text } from '../../../lib/config/option.ts'
import { referenceMarkdown, sampleYaml } from '../../../lib/config/reference.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { list, optional, record, section } from '../../../lib/config/structure.ts'
import { parseYaml } from '../../../lib/files/yaml.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const table = {
  level: oneOf(['low', 'high'], { help: 'How much | how loud.', default: 'low' }),
  agent: section(
    {
      wait: duration({ help: 'How long.', default: '2s' }),
      secret: secretFile({ help: 'The key.' }),
      count: integer({ help: 'How many.', default: 4, unit: 'connections' }),
    },
    { help: 'Where the agent is.' },
  ),
  name: text({ help: 'A name.' }),
  star: text({ help: 'A star.', default: '*' }),
  hosts: list(section({ host: text({ help: 'A host.' }) }), { help: 'Hosts.', default: [] }),
  map: record(text({ help: 'An id.' }), { help: 'Ids.', default: {} }),
  tls: optional(section({ ca: text({ help: 'A CA.' }) })),
}

t.test('referenceMarkdown() has a row for every option, with its variable', async (t) => {
  const lines = referenceMarkdown(table, 'OVERLAPD_AGENT').split('\n')
  for (const line of [
    '| `level` | one of low, high | `low` | `OVERLAPD_AGENT_LEVEL` | How much \\| how loud. |',
    '| `agent.wait` | a duration such as 500ms, 30s, 2m or 1h (a bare number is seconds) | `"2s"` | `OVERLAPD_AGENT_AGENT_WAIT` | How long. |',
    '| `agent.secret_file` | a file that holds the secret | – | `OVERLAPD_AGENT_AGENT_SECRET_FILE` | The key. |',
    '| `agent.count` | a whole number (connections) | `4` | `OVERLAPD_AGENT_AGENT_COUNT` | How many. |',
    '| `name` | text | **must be given** | `OVERLAPD_AGENT_NAME` | A name. |',
    '| `hosts[].host` | text | **must be given** |  | A host. |',
  ]) {
    t.ok(lines.includes(line), line)
  }
})

t.test('sampleYaml() is a file that changes nothing until a line is uncommented', async (t) => {
  const sample = sampleYaml({
    level: table.level,
    agent: table.agent,
    star: table.star,
    tls: table.tls,
  })
  t.match(sample, '# Where the agent is.\nagent:\n  # How long. Form: a duration')
  t.match(sample, '  # secret_file:\n')
  for (const line of sample.split('\n')) t.ok(line.length <= 100, line)
  const file = `${scratchFolder(t)}/sample.yaml`
  const load = () =>
    loadConfig(
      { level: table.level, agent: table.agent, star: table.star, tls: table.tls },
      { file, environment: {}, environmentPrefix: 'P' },
    )
  writeFileSync(file, sample)
  t.match(load().config, { level: 'low', agent: { wait: 2000 }, star: '*', tls: undefined })
  t.ok(load().rows.every((row) => row.origin.kind === 'default' || row.path === 'tls'))
  const uncommented = sample.replaceAll(/^( *)# ([a-z_]+: \S.*)$/gm, '$1$2')
  t.match(parseYaml(uncommented, 'sample').value, {
    level: 'low',
    agent: { wait: '2s', count: 4 },
    star: '*',
  })
  writeFileSync(file, uncommented)
  t.match(load().config, { level: 'low', agent: { wait: 2000, count: 4 } })
})
