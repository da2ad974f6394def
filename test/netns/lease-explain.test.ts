import { randomUUID } from 'node:crypto'
import t from 'tap'
import { runProgram } from '../../lib/cli/command.ts'
import { proxyProgram } from '../../proxy/cli.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { visit } from '../support/guest-visit.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { Segment } from '../support/segment.ts'
import { WholeChain } from '../support/whole-chain.ts'

const guestMac = 'fa:16:3e:00:00:10'
const mostTries = 100

if (skipUnlessPrivileged(t)) {
  t.test('overlapd-proxy explain finds what its workers sent straight to compute', async (t) => {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const netns = uniqueName()
    makeEmptyNamespaces(t, [netns])
    const segment = new Segment(t)
    segment.attach({
      netns,
      device: 'qr-7e57ab1e-00',
      mac: 'fa:16:3e:ff:00:01',
      addresses: ['10.0.0.1/24', 'fe80::1/64'],
    })
    const guest = segment.addGuest({
      mac: guestMac,
      addresses: ['10.0.0.10/24'],
      routes: ['169.254.169.254/32 via 10.0.0.1'],
    })
    const [router, network] = [randomUUID(), randomUUID()]
    const chain = await WholeChain.start(t, {
      direct: true,
      topology: {
        networks: [{ id: network, project: 'project-of-tests' }],
        routers: [{ id: router }],
        ports: [routerPortBehind('qr-7e57ab1e-00', router, network)],
        instances: [
          { name: 'asker', ports: [{ network, mac: guestMac, fixed_ips: ['10.0.0.10'] }] },
        ],
      },
    })
    chain.name(netns, `qrouter-${router}`)
    await chain.untilServing(1)

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
    t.match(told.out, `sourceMac=${guestMac}`)
    t.match(told.out, 'projectId: project-of-tests')
    t.match(told.out, 'status: 200')
    t.notMatch(told.out, /[0-9a-f]{64}/, 'and nothing signed')
  })
}
