import t from 'tap'
import { agentProgram } from '../../agent-side/cli.ts'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import { runProgram, type ProgramSpec } from '../../lib/cli/command.ts'
import { commandForms } from '../../lib/operator/api/command-forms.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { checkAdminApi, checkEvents } from '../support/admin-api-check.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { visit } from '../support/guest-visit.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startRoutedGuest } from '../support/routed-guest.ts'

if (skipUnlessPrivileged(t)) {
  t.test('every answer of the proxy has the form that its description gives', async (t) => {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const { chain, guest, router } = await startRoutedGuest(t, { proxy: ['canary.enabled=true'] })
    const { requestId } = await visit(sockets, guest)
    const { adminSocket } = chain.proxy
    await checkAdminApi(t, 'proxy', adminSocket, [
      ['get', '/health', 200],
      ['get', '/ready', 200],
      ['get', '/status', 200],
      ['get', '/metrics', 200],
      ['get', '/history', 200],
      ['get', '/', 200],
      ['get', `/explain?request=${String(requestId)}`, 200],
      ['get', '/explain?request=none', 404],
      ['get', '/audit', 200],
      ['post', '/audit', 200, {}],
      ['post', '/audit', 400, 5],
      ['get', '/events?only=good', 400],
    ])
    await checkEvents(t, 'proxy', adminSocket, () => visit(sockets, guest))

    const check = async (program: ProgramSpec, command: string, ...argv: string[]) => {
      const terminal = new FakeTerminal({ PATH: process.env['PATH'] })
      await runProgram(program, [command, '--json', ...argv], terminal)
      const { out, error } = terminal.written()
      const name = `${program.name} ${command}`
      const problems = commandForms[name]?.safeParse(JSON.parse(out || error)).error?.message
      t.equal(problems, undefined, [name, ...argv].join(' '))
    }
    const operator = operatorProgram()
    const both = ['--proxy', adminSocket, '--agent', chain.agentAdmin]
    await check(operator, 'health', ...both)
    await check(operator, 'health', '--proxy', '/nowhere', '--agent', '/nowhere')
    await check(operator, 'status', ...both)
    await check(operator, 'audit', ...both, '--answers')
    await check(operator, 'doctor', ...both)
    await check(operator, 'explain', ...both, '--ip', '10.0.0.10')
    await check(operator, 'explain', ...both, '--request', String(requestId))
    await check(operator, 'shield', '--agent', chain.agentAdmin)
    await check(operator, 'reasons')
    await check(operator, 'test', ...both, '--netns', guest.netns)
    await check(agentProgram, 'explain', ...both, '--router', router, '--ip', '10.0.0.10')
    await check(agentProgram, 'health', '--admin', chain.agentAdmin)
    await check(
      agentProgram,
      'check',
      '--set',
      'compute.allow_empty_secret=true',
      '--set',
      'ports={"kind":"static","static":{"file":"/x"}}',
    )
    await check(proxyProgram, 'explain', '--proxy', adminSocket, '--request', String(requestId))
    await check(proxyProgram, 'health', '--admin', adminSocket)
    await check(proxyProgram, 'list', '--admin', adminSocket)
    await check(proxyProgram, 'check')
    const watching = check(operator, 'watch', ...both, '--count', '1')
    while (!(await chain.agentMetrics()).includes('overlapd_event_streams{daemon="agent"} 1')) {
      await new Promise(setImmediate)
    }
    await visit(sockets, guest)
    await watching

    await chain.stopAgent()
    await checkEvents(t, 'proxy', adminSocket, () => visit(sockets, guest))
  })
}
