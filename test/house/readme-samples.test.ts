import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { runProgram, type ProgramSpec } from '../../lib/cli/command.ts'
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { ConfigError, problemText } from '../../lib/config/config-error.ts'
import type { Table } from '../../lib/config/entry.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { parseYaml } from '../../lib/files/yaml.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { productionFolders, projectPaths, projectRoot } from '../support/source-files.ts'

interface Sample {
  readonly where: string
  readonly language: string
  readonly text: string
}

function samplesOf(path: string): readonly Sample[] {
  const lines = readFileSync(join(projectRoot, path), 'utf8').split('\n')
  const samples: Sample[] = []
  let open: { start: number; language: string } | undefined
  for (const [index, line] of lines.entries()) {
    const fence = /^\s*```\s*([a-z]*)/.exec(line)
    if (fence === null) continue
    if (open === undefined) {
      open = { start: index, language: fence[1] ?? '' }
    } else {
      const text = lines.slice(open.start + 1, index).join('\n')
      samples.push({ where: `${path}:${open.start + 1}`, language: open.language, text })
      open = undefined
    }
  }
  return samples
}

/** Something a side exports; `undefined` while its file is not there. */
async function exported(file: string, name: string): Promise<unknown> {
  const path = join(projectRoot, file)
  if (!existsSync(path)) return undefined
  return ((await import(pathToFileURL(path).href)) as Record<string, unknown>)[name]
}

async function definitions(): Promise<ReadonlyMap<string, ConfigDefinition<Table>>> {
  const known = new Map<string, ConfigDefinition<Table>>()
  for (const [side, file, name] of [
    ['proxy.yaml', 'proxy/config/config.ts', 'proxyConfig'],
    ['agent.yaml', 'agent-side/config/config.ts', 'agentConfig'],
  ] as const) {
    const definition = await exported(file, name)
    if (definition !== undefined) known.set(side, definition as ConfigDefinition<Table>)
  }
  return known
}

async function programs(): Promise<ReadonlyMap<string, ProgramSpec>> {
  const known = new Map([['overlapd', operatorProgram()]])
  for (const [binary, file, name] of [
    ['overlapd-proxy', 'proxy/cli.ts', 'proxyProgram'],
    ['overlapd-agent', 'agent-side/cli.ts', 'agentProgram'],
  ] as const) {
    const program = await exported(file, name)
    if (program !== undefined) known.set(binary, program as ProgramSpec)
  }
  return known
}

/** What is wrong with a sample of a configuration, apart from secrets that are not on this machine. */
function configProblems(
  t: Test,
  text: string,
  definition: ConfigDefinition<Table>,
): readonly string[] {
  const file = `${scratchFolder(t)}/sample.yaml`
  writeFileSync(file, text)
  try {
    loadConfig(definition.table, {
      file,
      environment: {},
      environmentPrefix: definition.environmentPrefix,
    })
    return []
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    return thrown.problems
      .map(problemText)
      .filter((each) => !each.includes('cannot read the secret'))
  }
}

async function helpOf(
  program: ProgramSpec,
  command: string | undefined,
): Promise<string | undefined> {
  const terminal = new FakeTerminal()
  const argv = command === undefined ? ['--help'] : [command, '--help']
  const isKnown = command === undefined || program.commands.some(({ name }) => name === command)
  return isKnown && (await runProgram(program, argv, terminal)) === 0
    ? terminal.written().out
    : undefined
}

/** What is wrong with one line of a shell sample: a command or an option that does not exist. */
async function lineProblems(
  line: string,
  known: ReadonlyMap<string, ProgramSpec>,
): Promise<readonly string[]> {
  const words = line
    .replace(/^\s*(?:[$#]\s+)?/, '')
    .replace(/\s#\s.*$/, '')
    .split(/\s+/)
  while (/^(?:sudo|npx|exec|-[A-Za-z]|[A-Z_]+=.*)$/.test(words[0] ?? '')) words.shift()
  const [binary = '', ...rest] = words
  if (!/^overlapd(?:-[a-z]+)?$/.test(binary)) return []
  const program = known.get(binary)
  if (program === undefined) return [`${binary} is no program of ours`]
  const given = rest.slice(0, rest.findIndex((word) => /^[|<>&;]/.test(word)) >>> 0)
  const command = given[0] === undefined || given[0].startsWith('-') ? undefined : given[0]
  const help = await helpOf(program, command)
  if (help === undefined) return [`${binary} has no command ${command}`]
  const usual = program.commands.find(({ isDefault }) => isDefault === true)
  const all = command === undefined && usual ? `${help}${await helpOf(program, usual.name)}` : help
  return given
    .filter((word) => /^--[a-z]/.test(word))
    .map((word) => word.replace(/=.*$/, ''))
    .filter((option) => !new RegExp(`${option}\\b(?!-)`).test(all))
    .map((option) => `${binary} ${command ?? ''} has no option ${option}`)
}

/** `npm start` and `npm run x` name scripts of package.json. */
function scriptProblems(line: string): readonly string[] {
  const script = /\bnpm (?:run ([\w:-]+)|(start|test)\b)/.exec(line)
  if (script === null) return []
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  const name = script[1] ?? script[2] ?? ''
  return Object.hasOwn(scripts, name) ? [] : [`package.json has no script ${name}`]
}

const documents = projectPaths([...productionFolders, 'test'])
  .filter((path) => path.endsWith('.md'))
  .concat(existsSync(join(projectRoot, 'README.md')) ? ['README.md'] : [])
const samples = documents.flatMap(samplesOf)

t.test('each YAML sample of the documents can be used as it is', async (t) => {
  const known = await definitions()
  t.ok(known.has('proxy.yaml'))
  for (const { where, language, text } of samples) {
    if (language !== 'yaml') continue
    t.ok(parseYaml(text, where).value, where)
    // The first line says which file the sample is of: `# /etc/overlapd/agent.yaml`.
    const file = /^#.*\b((?:proxy|agent)\.yaml)\b/.exec(text)?.[1]
    if (file === undefined) continue
    const definition = known.get(file)
    t.ok(definition, `${where}: ${file} has an option table`)
    if (definition !== undefined) t.strictSame(configProblems(t, text, definition), [], where)
  }
})

t.test('each YAML sample of the README names its file', async (t) => {
  const unnamed = samples.filter(
    ({ where, language, text }) =>
      where.startsWith('README.md') && language === 'yaml' && !/^#.*\.yaml\b/.test(text),
  )
  t.strictSame(
    unnamed.map(({ where }) => where),
    [],
  )
})

t.test('each command of the documents exists, with its options', async (t) => {
  const known = await programs()
  for (const { where, language, text } of samples) {
    if (!/^(?:sh|bash|shell|console)$/.test(language)) continue
    for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
      t.strictSame(
        [...(await lineProblems(line, known)), ...scriptProblems(line)],
        [],
        `${where} ${line}`,
      )
    }
  }
})

t.test('a wrong sample would be noticed', async (t) => {
  const known = await programs()
  t.strictSame(await lineProblems('$ sudo overlapd doctor --json | head -1', known), [])
  t.strictSame(await lineProblems('overlapd explain --router r --ip 10.0.0.10 # who?', known), [])
  t.strictSame(await lineProblems('ip netns list', known), [])
  t.strictSame(await lineProblems('overlapd dokter', known), ['overlapd has no command dokter'])
  t.strictSame(await lineProblems('overlapd demo --onze', known), [
    'overlapd demo has no option --onze',
  ])
  t.strictSame(await lineProblems('overlapd-x', known), ['overlapd-x is no program of ours'])
  t.strictSame(scriptProblems('npm run nothing'), ['package.json has no script nothing'])
  t.strictSame(scriptProblems('npm start -- --once'), [])
  const proxy = (await definitions()).get('proxy.yaml')!
  t.match(configProblems(t, 'no_such_key: 1\n', proxy), [/^no_such_key: unknown key/])
  t.strictSame(configProblems(t, '', proxy), [])
})

t.test('each option table gives every option a variable of its own, and help', async (t) => {
  for (const [name, { table, environmentPrefix }] of await definitions()) {
    const { referenceMarkdown } = await import('../../lib/config/reference.ts')
    const { environmentName, tableNames } = await import('../../lib/config/table-names.ts')
    const variables = tableNames(table).map(({ keys }) => environmentName(environmentPrefix, keys))
    t.strictSame([...new Set(variables)], variables, name)
    for (const { keys, entry } of tableNames(table)) {
      t.match(keys.join('.'), /^[a-z0-9_.]+$/)
      if (entry.table === undefined) t.match(entry.help, /^[A-Z0-9"][^]+\.$/, keys.join('.'))
    }
    t.match(referenceMarkdown(table, environmentPrefix), /^\| key \|/)
  }
})
