import t from 'tap'
import { integer, path } from '../../../lib/config/option.ts'
import { section } from '../../../lib/config/structure.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { runProgram, type ProgramSpec } from '../../../lib/cli/command.ts'
import { checkCommand, referenceCommand } from '../../../lib/cli/config-command.ts'
import { UsageError } from '../../../lib/cli/command.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'

const definition = {
  table: {
    agent: section({
      socket: path({ help: 'Where the agent listens.', default: '/run/agent.sock' }),
    }),
    workers: integer({ help: 'How many workers.', min: 1, max: 64, default: 2 }),
    password: secretFile({ help: 'The password.' }),
  },
  environmentPrefix: 'OVERLAPD_PROXY',
  defaultFile: '/nowhere/proxy.yaml',
}

const program: ProgramSpec = {
  name: 'overlapd-proxy',
  description: 'Answers guests.',
  examples: [['overlapd-proxy check', 'look first']],
  commands: [
    checkCommand('overlapd-proxy', definition, ({ workers }) =>
      workers > 8 ? 'libexample.so.1 is not installed' : undefined,
    ),
    referenceCommand('overlapd-proxy', definition),
    {
      name: 'add',
      summary: 'add numbers',
      arguments: [{ name: '[name]', help: 'a name' }],
      options: [
        { flags: '--first <n>', help: 'a number' },
        { flags: '--word <text>', help: 'words', repeatable: true },
        { flags: '--loud', help: 'shout' },
      ],
      exitCodes: [[7, 'seven was asked for']],
      run({ options, arguments: [name], terminal }) {
        if (name === 'broken')
          throw new Error('Cannot add: no paper', { cause: new Error('empty') })
        if (name === 'misused') throw new UsageError('give a better name')
        const first = options.integer('first', { min: 1, max: 9 })
        terminal.out(JSON.stringify([name, first, options.list('word'), options.flag('loud')]))
        return first ?? 0
      },
    },
  ],
}

async function run(...argv: string[]) {
  const terminal = new FakeTerminal()
  const exitCode = await runProgram(program, argv, terminal)
  return { exitCode, ...terminal.written() }
}

t.test('runProgram() gives a command its options and returns its exit code', async (t) => {
  t.match(await run('add', 'x', '--first', '7', '--word', 'a', '--word', 'b', '--loud'), {
    exitCode: 7,
    out: '["x",7,["a","b"],true]',
    error: '',
  })
  t.match(await run('add'), { exitCode: 0, out: '[null,null,[],false]' })
})

t.test('runProgram() ends with 2 and names what to do when called wrongly', async (t) => {
  const wrong = [
    [['chek'], /^overlapd-proxy: unknown command 'chek'.*Did you mean check\?/s],
    [['add', '--loudd'], /^overlapd-proxy: unknown option '--loudd'/],
    [['add', '--first'], /^overlapd-proxy: option '--first <n>' argument missing/],
    [['add', '--first', '70'], /^overlapd-proxy: --first must be a whole number from 1 to 9\n/],
    [['add', '--first', 'x'], /^overlapd-proxy: --first must be a whole number from 1 to 9\n/],
    [['add', 'a', 'b'], /^overlapd-proxy: too many arguments/],
    [['add', 'misused'], /^overlapd-proxy: give a better name\nTry "overlapd-proxy add --help"/],
    [['check', '--set', 'workers=0'], /^overlapd-proxy: Cannot use the configuration: 1 problem\n/],
  ] as const
  for (const [argv, message] of wrong) {
    const { exitCode, out, error } = await run(...argv)
    t.equal(exitCode, 2, argv.join(' '))
    t.match(error, message)
    t.equal(out, '')
  }
})

t.test('runProgram() ends with 1 and the chain of causes when a command fails', async (t) => {
  t.strictSame(await run('add', 'broken'), {
    exitCode: 1,
    out: '',
    error: 'overlapd-proxy: Cannot add: no paper: empty\nTry "overlapd doctor".\n',
  })
})

t.test('runProgram() prints help with examples and exit codes, and the version', async (t) => {
  const whole = await run('--help')
  t.equal(whole.exitCode, 0)
  t.match(whole.out, /Examples:\n {2}overlapd-proxy check {2}look first\n/)
  t.match(whole.out, /Exit codes:\n {2}0 {2}done\n/)
  t.match(whole.out, /^ {2}reference /m)
  const one = await run('add', '--help')
  t.match(one.out, /Exit codes:\n {2}7 {2}seven was asked for\n/)
  const version = await run('--version')
  t.equal(version.exitCode, 0)
  t.match(version.out, /^\d+\.\d+\.\d+/)
  const nothing = await run()
  t.equal(nothing.exitCode, 2)
  t.match(nothing.error, /Usage: overlapd-proxy/)
})

t.test('check warns of what this host lacks for the configuration', async (t) => {
  t.notMatch((await run('check')).out, 'warning')
  const lacking = await run('check', '--set', 'workers=9')
  t.equal(lacking.exitCode, 0)
  t.match(lacking.out, 'warning: libexample.so.1 is not installed')
  const json = await run('check', '--set', 'workers=9', '--json')
  t.match(JSON.parse(json.out), { warnings: ['libexample.so.1 is not installed'] })
})

t.test('check prints every effective value with its origin', async (t) => {
  const { exitCode, out } = await run('check', '--set', 'workers=3')
  t.equal(exitCode, 0)
  t.equal(
    out,
    [
      'OPTION        VALUE            FROM',
      'agent.socket  /run/agent.sock  default',
      'workers       3                --set workers',
      'password      (not set)        default',
      '',
    ].join('\n'),
  )
  const json = JSON.parse((await run('check', '--json')).out) as { options: unknown[] }
  t.match(json.options[1], { path: 'workers', value: 2, text: '2', from: 'default' })
})

t.test('reference prints Markdown, or a sample file', async (t) => {
  t.match((await run('reference')).out, '| `agent.socket` | a path | `/run/agent.sock` |')
  t.match((await run('reference', '--sample')).out, '  # socket: /run/agent.sock\n')
})
