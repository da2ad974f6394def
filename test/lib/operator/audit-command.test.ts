import { once } from 'node:events'
import { createServer } from 'node:http'
import t, { type Test } from 'tap'
import { runProgram } from '../../../lib/cli/command.ts'
import { operatorProgram } from '../../../deploy/overlapd/operator-program.ts'
import { FakeTerminal } from '../../support/fake-terminal.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

async function audit(...argv: readonly string[]) {
  const terminal = new FakeTerminal()
  const exitCode = await runProgram(operatorProgram(), ['audit', ...argv], terminal)
  return { exitCode, ...terminal.written() }
}

/** A daemon that answers `/audit`, and tells what it was asked. */
async function startDaemon(t: Test, report: unknown, status = 200) {
  const asked: { readonly method: string | undefined; readonly body: string }[] = []
  const socket = `${scratchFolder(t)}/admin.sock`
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      asked.push({ method: request.method, body })
      response.writeHead(status).end(JSON.stringify(report))
    })
  })
  server.listen(socket)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { socket, asked }
}

const quiet = { checked: { namespaces: 2, rule_sets: 1 }, notes: [], findings: [] }
const agentQuiet = { checked: { scopes: 1 }, notes: [], findings: [] }

t.test('overlapd audit ends with 0 and queries the agent for what the proxy serves', async (t) => {
  const proxy = await startDaemon(t, { ...quiet, scopes: ['router/r-1'] })
  const agent = await startDaemon(t, agentQuiet)
  t.strictSame(await audit('--proxy', proxy.socket, '--agent', agent.socket), {
    exitCode: 0,
    out: 'proxy: looked at 2 namespaces, 1 rule sets\nagent: looked at 1 scopes\nNothing found.\n',
    error: '',
  })
  t.strictSame(proxy.asked, [{ method: 'GET', body: '' }])
  t.strictSame(
    agent.asked.map(({ method, body }) => [method, JSON.parse(body) as unknown]),
    [['POST', { answers: false, scopes: ['router/r-1'] }]],
  )
})

t.test(
  'overlapd audit ends with 1, the worst first, and draws nothing on the screen',
  async (t) => {
    const proxy = await startDaemon(t, {
      ...quiet,
      notes: ['a note'],
      findings: [
        { level: 'warn', code: 'foreign_listener', about: 'qdhcp-1', what: 'evil\u001b[2J' },
        { level: 'fail', code: 'rules_missing', about: 'qrouter-1', what: 'none', remedy: 'Look.' },
        { code: 'of_another_form', about: 'x', what: 'y' },
      ],
      scopes: [],
    })
    const agent = await startDaemon(t, {
      ...agentQuiet,
      findings: [
        {
          level: 'fail',
          code: 'ambiguous_address',
          remedy: 'Remove the duplicate',
          about: 'network/n',
          what: 'two',
        },
      ],
      answers: [
        { scope: 'network/n', address: '10.0.0.1', macAddress: 'm', reason: 'ambiguous_port' },
      ],
    })
    const where = ['--proxy', proxy.socket, '--agent', agent.socket]

    const { exitCode, out } = await audit(...where, '--answers')

    t.equal(exitCode, 1)
    t.match(out, /^scope +address +MAC +answered as +refused because\n/)
    t.match(out, /fail {2}rules_missing: qrouter-1: none\n {6}→ Look\.\n/)
    t.ok(out.indexOf('fail  ambiguous_address') < out.indexOf('warn  foreign_listener'))
    t.match(out, /evil\\u001b\[2J/)
    t.match(out, /\nnote {2}a note\n/)
    t.match(out, /3 found: 2 fail, 1 warn\.\n$/)
    const json = JSON.parse((await audit(...where, '--json')).out) as Record<string, unknown>
    t.match(json, {
      findings: [
        { level: 'warn' },
        { level: 'fail', code: 'rules_missing' },
        { remedy: /duplicate/ },
      ],
      notes: ['a note'],
      checked: { proxy: { namespaces: 2 }, agent: { scopes: 1 } },
      unqueried: [],
    })
  },
)

t.test('overlapd audit ends with 2 where a daemon could not be queried', async (t) => {
  const proxy = await startDaemon(t, { ...quiet, scopes: [] })
  const busy = await startDaemon(t, { message: 'an audit is under way' }, 503)
  const old = await startDaemon(t, {}, 404)
  const none = `${scratchFolder(t)}/none`
  for (const [agent, why] of [
    [none, /^agent: not audited\. Cannot get an answer from ".*none": the socket does not exist/],
    [busy.socket, /^agent: not audited\. an audit is under way\n/],
    [old.socket, /^agent: not audited\. it answered with status 404\n/],
  ] as const) {
    t.match(await audit('--proxy', proxy.socket, '--agent', agent), { exitCode: 2, error: why })
  }
  const only = await audit('--only', 'proxy', '--proxy', proxy.socket, '--agent', none)
  t.match(only, { exitCode: 0, error: '' })
  t.match(await audit('--only', 'both'), { exitCode: 2, error: /must be proxy or agent/ })
  const alone = await startDaemon(t, agentQuiet)
  await audit('--only', 'agent', '--agent', alone.socket)
  t.strictSame(JSON.parse(alone.asked[0]?.body ?? ''), { answers: false })
})
