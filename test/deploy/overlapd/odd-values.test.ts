/** Does what an operator gives a command come back as text, and never as control characters? */
import t from 'tap'
import { agentProgram } from '../../../agent-side/cli.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { runProgram, type ProgramSpec } from '../../../lib/cli/command.ts'
import { proxyProgram } from '../../../proxy/cli.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'

const spoof = 'agent: ready'
/** A screen that is cleared, a line that looks like ours, and text that runs backwards with an old control character. */
const oddValues = ['/nowhere/\u001b[2J\u0007', `/nowhere/a\n${spoof}\r`, '/nowhere/\u202eb\u009b1m']

const controls = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/** What these do goes on until they are stopped. Their options are read as those of other commands are. */
const goOn: ReadonlySet<string> = new Set([
  'overlapd demo',
  'overlapd ui',
  'overlapd-agent serve',
  'overlapd-proxy serve',
])

/** Without these the command ends before it looks at another option, or writes into the folder that we are in. */
const needed: Readonly<Record<string, readonly string[]>> = {
  'overlapd bugreport': ['--output', '/nowhere/report.tar.gz'],
  'overlapd explain': ['--ip', '10.0.0.10'],
  'overlapd test': ['--instance', 'i-1'],
  'overlapd unseal': ['i-1', '--why', 'test'],
  'overlapd-agent explain': ['--ip', '10.0.0.10'],
  'overlapd-proxy explain': ['--request', 'r-1'],
}

async function run(program: ProgramSpec, argv: readonly string[]): Promise<string> {
  const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' }, 40)
  await runProgram(program, argv, terminal)
  const { out, error } = terminal.written()
  return out + error
}

for (const program of [operatorProgram(), agentProgram, proxyProgram]) {
  for (const command of program.commands) {
    const name = `${program.name} ${command.name}`
    if (goOn.has(name)) continue
    const flags = (command.options ?? []).map((option) => option.flags.split(/[ ,]+/))
    const valued = flags.filter((words) => words.at(-1)?.startsWith('<'))
    const sockets = valued
      .map((words) => words.at(-2) ?? '')
      .filter((flag) => ['--admin', '--proxy', '--agent'].includes(flag))
      .flatMap((flag) => [flag, '/nowhere/none.sock'])
    t.test(`${name} shows odd values as text`, async (t) => {
      const calls = [
        ...valued.map((words) => [words.at(-2) ?? '']),
        // An argument, a flag that is unknown, and one whose name is nearly right.
        ...[[], ['--'], ['--helpp']],
      ]
      const wrong: string[] = []
      for (const call of calls) {
        for (const odd of oddValues) {
          const argv = [command.name, ...(needed[name] ?? []), ...sockets, ...call, odd]
          const lines = (await run(program, argv)).split('\n')
          const isObeyed = lines.some((line) => controls.test(line) || line.startsWith(spoof))
          if (isObeyed) wrong.push(JSON.stringify({ call, lines }))
        }
      }
      t.strictSame(wrong, [])
    })
  }
}
