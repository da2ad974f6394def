import t from 'tap'
import { runProgram } from '../../lib/cli/command.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { visit } from '../support/guest-visit.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startRoutedGuest } from '../support/routed-guest.ts'

const mostTries = 100

if (skipUnlessPrivileged(t)) {
  t.test('overlapd-proxy explain finds what its workers sent straight to compute', async (t) => {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const { chain, guest, mac, router } = await startRoutedGuest(t, { direct: true })

    const explain = async (requestId: string) => {
      const terminal = new FakeTerminal({})
      const socket = chain.proxy.adminSocket
      const argv = ['explain', '--proxy', socket, '--request', requestId]
      const exitCode = await runProgram(proxyProgram, argv, terminal)
      return { exitCode, ...terminal.written() }
    }
    const first = await visit(sockets, guest)
    t.match(await explain(String(first.requestId)), { exitCode: 0, out: /\n {2}basis: agent\n/ })
    t.match(await explain('none'), { exitCode: 2, error: /overlapd-agent explain/ })
    let told = await explain('none')
    for (let tries = 0; tries < mostTries && !told.out.includes('basis: lease'); tries += 1) {
      const { whose, requestId } = await visit(sockets, guest)
      t.equal(whose, 'asker')
      told = await explain(String(requestId))
    }
    t.equal(told.exitCode, 0, told.error)
    t.match(told.out, '\n  basis: lease\n')
    t.match(told.out, `scope=router/${router}`)
    t.match(told.out, `sourceMac=${mac}`)
    t.match(told.out, 'projectId: project-of-tests')
    t.match(told.out, 'status: 200')
    t.notMatch(told.out, /[0-9a-f]{64}/, 'and nothing signed')
  })
}
