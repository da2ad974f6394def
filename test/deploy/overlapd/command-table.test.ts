import t from 'tap'
import { agentConfig } from '../../../agent-side/config/config.ts'
import { agentProgram } from '../../../agent-side/cli.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { runProgram, type ProgramSpec } from '../../../lib/cli/command.ts'
import { commandForms } from '../../../lib/operator/api/command-forms.ts'
import { pathText, type Table } from '../../../lib/config/entry.ts'
import { tableNames } from '../../../lib/config/table-names.ts'
import { proxyConfig } from '../../../proxy/config/config.ts'
import { proxyProgram } from '../../../proxy/cli.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'

/** All commands of all programs stand here once; what holds for each is tested for each. */
const programs: readonly { readonly program: ProgramSpec; readonly table?: Table }[] = [
  { program: operatorProgram() },
  { program: agentProgram, table: agentConfig.table },
  { program: proxyProgram, table: proxyConfig.table },
]

async function run(program: ProgramSpec, argv: readonly string[], columns?: number) {
  const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' }, columns)
  const exitCode = await runProgram(program, argv, terminal)
  return { exitCode, ...terminal.written() }
}

function words(text: string): readonly string[] {
  return text.split(/\s+/)
}

t.test('what each command prints with --json is described, and nothing else is', async (t) => {
  const printing = programs.flatMap(({ program }) =>
    program.commands
      .filter(({ options }) => options?.some(({ flags }) => flags === '--json'))
      .map(({ name }) => `${program.name} ${name}`),
  )
  t.strictSame(Object.keys(commandForms).toSorted(), printing.toSorted())
  const { out } = await run(operatorProgram(), ['api', 'commands'])
  const { commands } = JSON.parse(out) as { commands: object }
  t.strictSame(Object.keys(commands), Object.keys(commandForms))
})

for (const { program, table } of programs) {
  const { name, commands } = program

  t.test(`each --set in the help of ${name} names an option that there is`, async (t) => {
    const known = new Set(tableNames(table ?? {}).map(({ keys }) => pathText(keys)))
    for (const command of [undefined, ...commands]) {
      const { out } = await run(program, [...(command ? [command.name] : []), '--help'])
      const keys = Array.from(out.matchAll(/--set[ =]([\w.]+)=/g), ([, key]) => key)
      for (const key of keys) t.ok(known.has(key ?? ''), String(key))
    }
  })

  t.test(`each example of ${name} names a command and options that there are`, async (t) => {
    const examples = [program, ...commands].flatMap((one) => one.examples ?? [])
    for (const [call] of examples) {
      const [first, ...rest] = words(call.replace(/^sudo /, '').replace(/ [|>].*$/, ''))
      t.equal(first, name, call)
      const named = commands.find((one) => one.name === rest[0])
      const command = named ?? commands.find(({ isDefault }) => isDefault === true)
      t.ok(command, call)
      const flags = (command?.options ?? []).flatMap((option) => words(option.flags))
      for (const word of rest.filter((one) => one.startsWith('-'))) {
        t.ok(
          flags.some((flag) => flag.replace(',', '') === word),
          `${call}: ${word}`,
        )
      }
    }
  })

  for (const command of commands) {
    t.test(`${name} ${command.name} --help fits 40 columns and has no colour`, async (t) => {
      const { exitCode, out, error } = await run(program, [command.name, '--help'], 40)
      t.equal(exitCode, 0)
      t.equal(error, '')
      t.notMatch(out, '\u001b')
      t.match(out, /\nExit codes:\n/)
      // A term or a call is never broken; what explains it is.
      const long = out
        .split('\n')
        .filter((line) => line.length > 40 && !/^(?: {2}\S|Usage)/.test(line))
      t.strictSame(long, [])
    })

    t.test(
      `${name} ${command.name} refuses what it does not know and names its help`,
      async (t) => {
        const help = `Try "${name} ${command.name} --help".\n`
        for (const wrong of [['--no-such-option'], ['one', 'two', 'three']]) {
          const { exitCode, out, error } = await run(program, [command.name, ...wrong])
          t.equal(exitCode, 2, wrong.join(' '))
          t.equal(out, '')
          t.ok(error.startsWith(`${name}: `), error)
          t.ok(error.endsWith(help), error)
          t.notMatch(error, /\n +at /)
        }
      },
    )
  }
}
