/** What does an operator read who gives a command what it cannot use? One row a command, so that a new one is not forgotten. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { agentProgram } from '../../../agent-side/cli.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { runProgram, type ProgramSpec } from '../../../lib/cli/command.ts'
import { proxyProgram } from '../../../proxy/cli.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const programs: readonly ProgramSpec[] = [operatorProgram(), agentProgram, proxyProgram]

/** How a command of each name is called so that it needs a daemon; those that need none are not here. */
const askingCalls: Readonly<Record<string, readonly string[]>> = {
  'overlapd audit': [],
  'overlapd explain': ['--ip', '10.0.0.10'],
  'overlapd health': [],
  'overlapd shield': [],
  'overlapd status': [],
  'overlapd test': ['--instance', 'i-1'],
  'overlapd unseal': ['i-1', '--why', 'test'],
  'overlapd watch': [],
  'overlapd-agent explain': ['--request', 'r-1'],
  'overlapd-agent health': [],
  'overlapd-proxy explain': ['--request', 'r-1'],
  'overlapd-proxy health': [],
  'overlapd-proxy list': [],
}

/** These ask a daemon and have an answer without one, or take no socket. */
const contentWithout: ReadonlySet<string> = new Set([
  'overlapd api',
  'overlapd bugreport',
  'overlapd demo',
  'overlapd doctor',
  'overlapd reasons',
  'overlapd ui',
  'overlapd-agent check',
  'overlapd-agent reference',
  'overlapd-agent serve',
  'overlapd-agent serve-dev-compute',
  'overlapd-proxy adopt',
  'overlapd-proxy check',
  'overlapd-proxy reference',
  'overlapd-proxy serve',
])

const all = programs.flatMap((program) =>
  program.commands.map((command) => ({
    program,
    command,
    name: `${program.name} ${command.name}`,
  })),
)

async function run(program: ProgramSpec, argv: readonly string[]) {
  const terminal = new FakeTerminal({ PATH: '/nowhere', NO_COLOR: '1' }, 40)
  const exitCode = await runProgram(program, argv, terminal)
  const { out, error } = terminal.written()
  return { exitCode, out, error }
}

/** The options by which a command finds a socket, all of them naming one. */
function at(socket: string, command: ProgramSpec['commands'][number]): readonly string[] {
  const names = ['--admin', '--proxy', '--agent'].filter((name) =>
    command.options?.some(({ flags }) => flags.startsWith(`${name} `)),
  )
  return names.flatMap((name) => [name, socket])
}

t.test('the table of commands that need a daemon is whole', async (t) => {
  const known = [...Object.keys(askingCalls), ...contentWithout].toSorted()
  t.strictSame(known, all.map(({ name }) => name).toSorted())
})

for (const { program, command, name } of all) {
  const call = askingCalls[name]
  if (call !== undefined) {
    t.test(
      `${name} without a daemon ends with 1 or 2, reports it once, and names what helps`,
      async (t) => {
        const gone = join(scratchFolder(t), 'none.sock')
        const { exitCode, out, error } = await run(program, [
          command.name,
          ...call,
          ...at(gone, command),
        ])
        t.ok(exitCode === 1 || exitCode === 2, String(exitCode))
        const said = out + error
        const asked = new Set(at(gone, command)).size - 1
        const times = said.split('the socket does not exist; is the daemon running?').length - 1
        t.ok(times >= 1 && times <= asked, said)
        t.match(said, 'Try "overlapd doctor".')
        t.notMatch(said, /ENOENT.*ENOENT|\n +at /)
      },
    )

    t.test(`${name} at something that is no daemon reports it`, async (t) => {
      const server = createServer((_request, response) => void response.end('<p>hello'))
      const socket = await listening(t, server)
      const { exitCode, out, error } = await run(program, [
        command.name,
        ...call,
        ...at(socket, command),
      ])
      t.ok(exitCode === 1 || exitCode === 2, String(exitCode))
      t.notMatch(out + error, /\n +at |undefined|\[object/)
      t.not(out + error, '')
    })

    t.test(
      `${name} without permission reports it`,
      { skip: process.getuid?.() === 0 ? false : 'needs root, to become somebody else' },
      async (t) => {
        const server = createServer()
        const socket = await listening(t, server, 0o700)
        process.seteuid?.('nobody')
        try {
          const { exitCode, out, error } = await run(program, [
            command.name,
            ...call,
            ...at(socket, command),
          ])
          t.ok(exitCode === 1 || exitCode === 2, String(exitCode))
          t.match(out + error, 'this user may not open the socket')
        } finally {
          process.seteuid?.(0)
        }
      },
    )
  }

  if (command.options?.some(({ flags }) => flags === '-c, --config <file>') === true) {
    t.test(`${name} with a wrong file ends with 2 and names file and line`, async (t) => {
      const folder = scratchFolder(t)
      mkdirSync(join(folder, 'folder'))
      writeFileSync(join(folder, 'broken.yaml'), 'log: [\n')
      writeFileSync(join(folder, 'unknown.yaml'), '\nlgo: { level: debug }\n')
      const files: readonly (readonly [string, RegExp])[] = [
        ['none.yaml', /none\.yaml: Cannot read the file: ENOENT: no such file or directory\n/],
        ['folder', /folder: Cannot read the file: EISDIR: illegal operation on a directory/],
        ['broken.yaml', /broken\.yaml:\d+: /],
        ['unknown.yaml', /lgo: unknown key; did you mean log\? \(.*unknown\.yaml:2\)/],
      ]
      for (const [file, message] of files) {
        const path = join(folder, file)
        const { exitCode, error } = await run(program, [command.name, '-c', path])
        t.equal(exitCode, 2, file)
        t.match(error, message)
        t.match(error, new RegExp(`\\nTry "${program.name} (?:check|reference)"\\.\\n$`))
        t.equal(error.split(path).length - 1, 1, 'the file is named once')
      }
      const { exitCode, error } = await run(program, [command.name, '--set', 'foo=1'])
      t.equal(exitCode, 2)
      t.match(error, '--set foo: unknown key\n')
    })
  }
}

for (const [name, main] of [
  ['overlapd', '../../../deploy/overlapd/overlapd.ts'],
  ['overlapd-agent', '../../../agent-side/main.ts'],
  ['overlapd-proxy', '../../../proxy/main.ts'],
] as const) {
  t.test(`${name} ends quietly when its reader has seen enough`, async (t) => {
    const file = fileURLToPath(new URL(main, import.meta.url))
    const node = [process.execPath, ...process.execArgv, '--no-warnings', file]
    const argument = name === 'overlapd' ? 'reasons' : 'reference'
    // The reader is gone before the first byte: "head -0".
    const script = `"$@" ${argument} | head -c 0; echo "\${PIPESTATUS[0]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', script, 'sh', ...node], {
      encoding: 'utf8',
    })
    t.equal(stdout, '0\n')
    t.equal(stderr, '')
  })
}

async function listening(t: Test, server: Server, mode = 0o755): Promise<string> {
  const folder = join(scratchFolder(t), 'sockets')
  mkdirSync(folder, { mode })
  const socket = join(folder, 'admin.sock')
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve)
  })
  t.teardown(() => void server.close())
  return socket
}
