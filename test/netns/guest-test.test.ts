import { randomBytes, randomUUID } from 'node:crypto'
import t from 'tap'
import { operatorProgram } from '../../deploy/overlapd/operator-program.ts'
import type { TestReport } from '../../deploy/guest-test/test-report.ts'
import { runProgram } from '../../lib/cli/command.ts'
import { FakeTerminal } from '../support/fake-terminal.ts'
import { skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { startRoutedGuest } from '../support/routed-guest.ts'

/** Other tests have guests as well, and a guest is found by its MAC. */
const guestMac = `fa:16:3e:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`

if (skipUnlessPrivileged(t)) {
  t.test('overlapd test sends requests as a guest would and times each hop', async (t) => {
    const remote = randomUUID()
    const otherInstances = [{ id: remote, address: '10.0.0.77' }]
    const options = { mac: guestMac, direct: false, otherInstances }
    const { chain, guest, router, instance } = await startRoutedGuest(t, options)

    const run = async (...argv: string[]) => {
      const terminal = new FakeTerminal({})
      const sockets = ['--proxy', chain.proxy.adminSocket, '--agent', chain.agentAdmin]
      const exitCode = await runProgram(operatorProgram(), ['test', ...sockets, ...argv], terminal)
      return { exitCode, ...terminal.written() }
    }
    const report = async (...argv: string[]): Promise<TestReport> => {
      const { exitCode, out, error } = await run(...argv, '--json')
      t.equal(exitCode, 0, error)
      return JSON.parse(out) as TestReport
    }
    const hops = ['network', 'redirect', 'worker', 'agent', 'directory', 'signature', 'compute']

    const own = await report('--netns', guest.netns)
    t.match(own, { verdict: 'own metadata', status: 200, instanceId: instance })
    t.strictSame(
      own.hops.map(({ hop }) => hop),
      hops,
    )
    t.ok(own.hops.every(({ ms, state }) => ms !== undefined && state === 'ok'))
    const sum = own.hops.reduce((total, { ms = 0 }) => total + ms, 0)
    t.ok(Math.abs(sum - (own.total ?? 0)) < 0.1, `${sum} of ${own.total}`)

    t.match(await report('--instance', instance), {
      verdict: 'own metadata',
      from: `/run/netns/${guest.netns}`,
      guest: { address: '10.0.0.10', macAddress: guestMac, scope: `router/${router}` },
    })

    // One that has no namespace on this host, as a virtual machine.
    const through = await report('--instance', remote)
    t.match(through, { verdict: 'own metadata', instanceId: remote })
    t.match(through.hops.slice(0, 3), [
      { hop: 'network', state: 'unknown' },
      { hop: 'redirect', state: 'ok', detail: /^applied in qrouter-/ },
      { hop: 'worker', state: 'ok' },
    ])
    t.ok(through.hops.slice(3).every(({ ms }) => ms !== undefined))

    const served = ['--netns', `qrouter-${router}`, '--netns-dir', chain.proxy.netnsFolder]
    t.match(await run(...served), {
      exitCode: 0,
      out: /^guest .* in router\/.*\nGET \/openstack\/latest\/meta_data\.json from .*\n\nHOP +MS +STATE +DETAIL\n[^]*\ntotal /,
    })

    await chain.stopAgent()
    const broken = await run('--netns', guest.netns)
    t.equal(broken.exitCode, 1)
    t.match(broken.out, /\nagent +[\d.-]+ +failed/)
    t.match(broken.out, /\ntotal .* refused \(503 agent_unreachable\)/)
    t.match(broken.out, /\n {2}→ /)

    t.match(await run('--netns', uniqueName()), { exitCode: 2, error: /there is no namespace/ })
    t.match(await run(), { exitCode: 2, error: /give --netns, --instance, or both/ })
  })
}
