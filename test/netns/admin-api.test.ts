import { randomUUID } from 'node:crypto'
import t from 'tap'
import { checkAdminApi, checkEvents } from '../support/admin-api-check.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { visit } from '../support/guest-visit.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { Segment } from '../support/segment.ts'
import { WholeChain } from '../support/whole-chain.ts'

const guestMac = 'fa:16:3e:00:00:10'

if (skipUnlessPrivileged(t)) {
  t.test('every answer of the proxy has the form that its description says', async (t) => {
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
      proxy: ['canary.enabled=true'],
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
    const { requestId } = await visit(sockets, guest)
    const { adminSocket } = chain.proxy
    await checkAdminApi(t, 'proxy', adminSocket, [
      ['get', '/health', 200],
      ['get', '/ready', 200],
      ['get', '/status', 200],
      ['get', '/metrics', 200],
      ['get', '/', 200],
      ['get', `/explain?request=${String(requestId)}`, 200],
      ['get', '/explain?request=none', 404],
      ['get', '/audit', 200],
      ['post', '/audit', 200, {}],
      ['post', '/audit', 400, 5],
      ['get', '/events?only=good', 400],
    ])
    await checkEvents(t, 'proxy', adminSocket, () => visit(sockets, guest))
    await chain.stopAgent()
    await checkEvents(t, 'proxy', adminSocket, () => visit(sockets, guest))
  })
}
