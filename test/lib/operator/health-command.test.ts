import t, { type Test } from 'tap'
import { runProgram } from '../../../lib/cli/command.ts'
import { healthCommand } from '../../../lib/operator/health-command.ts'
import { serveApp } from '../../../lib/http/serve.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

async function run(addressOf: () => string, ...argv: string[]) {
  const terminal = new FakeTerminal()
  const health = healthCommand({
    program: 'overlapd-agent',
    daemon: 'agent',
    options: [],
    addressOf,
  })
  const program = { name: 'overlapd-agent', description: 'x', commands: [health] }
  const exitCode = await runProgram(program, ['health', ...argv], terminal)
  return { exitCode, ...terminal.written() }
}

async function daemon(t: Test, status: number, body: unknown): Promise<string> {
  const socket = `${scratchFolder(t)}/a.sock`
  const app = { fetch: () => Response.json(body, { status }) }
  const serving = await serveApp({ app, listen: [{ socket }] })
  t.teardown(() => serving.close())
  return socket
}

t.test('health queries the address of the configuration, or the one it is given', async (t) => {
  const ready = await daemon(t, 200, { ready: true, parts: [] })
  t.match(await run(() => ready), {
    exitCode: 0,
    out: /^agent: ready; no guest has been served yet\n$/,
  })
  const unasked = () => {
    throw new Error('the configuration was read')
  }
  t.match(await run(unasked, '--admin', ready), { exitCode: 0 })
})

t.test('health ends with 1 when the daemon is not ready', async (t) => {
  const parts = [
    { name: 'a', ready: false, detail: 'why' },
    { name: 'b', ready: true, detail: '' },
  ]
  const socket = await daemon(t, 503, { ready: false, parts })
  t.strictSame(await run(() => socket), {
    exitCode: 1,
    out: 'agent: not ready\n  a: why\n',
    error: '',
  })
  t.match(JSON.parse((await run(() => socket, '--json')).out), {
    daemon: 'agent',
    reachable: true,
    ready: false,
    parts,
  })
})

t.test('health ends with 2 when it could not query, or got something else', async (t) => {
  t.match(await run(() => '/nowhere/a.sock'), {
    exitCode: 2,
    out: '',
    error: /^agent: Cannot get an answer/,
  })
  for (const body of ['no', { ready: 'yes', parts: [] }, { ready: true }, null]) {
    const socket = await daemon(t, 200, body)
    t.match(await run(() => socket), { exitCode: 2, error: /gave no readiness report/ })
  }
})
