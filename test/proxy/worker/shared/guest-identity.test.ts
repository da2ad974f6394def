import t from 'tap'
import { parseIpAddress } from '../../../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../../../lib/identity/mac-address.ts'
import { NamespaceAccount } from '../../../../proxy/worker/guest/accounts.ts'
import {
  describeGuest,
  guestListener,
  identifyGuest,
} from '../../../../proxy/worker/shared/guest-identity.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import {
  networkIdentity,
  ovnIdentity,
  routerIdentity,
  testNetworkId,
  testRouterId,
} from '../../../support/start-worker.ts'

const account = new NamespaceAccount('router test', { clock: new FakeClock(), limit: 16 })
const place = { listenerId: 1, netns: 'qrouter-x', bound: '[::]:9697' }
const address = parseIpAddress('::ffff:10.0.0.10')!
const mac = parseMacAddress('FA:16:3E:00:00:10')!

t.test(
  'identifyGuest() gives scope, address and MAC, each once and in canonical text',
  async (t) => {
    for (const [identity, name, id] of [
      [routerIdentity, 'x-neutron-router-id', testRouterId],
      [networkIdentity, 'x-neutron-network-id', testNetworkId],
      [ovnIdentity, 'x-ovn-network-id', testNetworkId],
    ] as const) {
      const listener = guestListener({ ...place, ...identity }, account)

      t.strictSame(identifyGuest(listener, address, mac).headers, [
        name,
        id,
        'x-forwarded-for',
        '10.0.0.10',
        'x-overlapd-source-mac',
        'fa:16:3e:00:00:10',
      ])
      t.strictSame(identifyGuest(listener, address, undefined).headers, [
        name,
        id,
        'x-forwarded-for',
        '10.0.0.10',
      ])
    }
  },
)

t.test('identifyGuest() gives the port of the router where it is known', async (t) => {
  const listener = guestListener({ ...place, ...routerIdentity }, account)

  t.strictSame(identifyGuest(listener, address, undefined, 'other').headers, [
    'x-neutron-router-id',
    testRouterId,
    'x-forwarded-for',
    '10.0.0.10',
    'x-overlapd-ingress-port',
    'other',
  ])
})

t.test(
  'identifyGuest() gives how the connection arrived, and whether that is as the guest sends it',
  async (t) => {
    const listener = guestListener({ ...place, ...routerIdentity }, account)
    const arrived = (hopLimit: number) =>
      identifyGuest(listener, address, mac, undefined, { hopLimit, sourcePort: 51_234 })

    t.strictSame(arrived(63).headers.slice(-2), ['x-overlapd-arrival', '63 51234'])
    t.strictSame(
      [64, 63, 65, 128, 127, 255, 254, 1].map((hops) => arrived(hops).isFromGuestItself),
      [true, false, false, true, false, true, false, false],
    )
    t.equal(identifyGuest(listener, address, mac).isFromGuestItself, false, 'not known')
  },
)

t.test('guestListener() knows sockets that were made in a router', async (t) => {
  const isInRouter = (description: Parameters<typeof guestListener>[0]): boolean =>
    guestListener(description, account).isInRouter
  const ownPlace = { host: '127.0.0.1', tcpPort: 80 }

  t.equal(isInRouter({ ...place, ...routerIdentity }), true)
  t.equal(isInRouter({ ...place, ...networkIdentity }), false)
  t.equal(isInRouter({ ...place, ...routerIdentity, ...ownPlace }), false, 'not its own')
})

t.test('guestListener() refuses a router in the flavour that has no header for it', async (t) => {
  t.throws(() => guestListener({ ...place, ...routerIdentity, flavour: 'ovn' }, account), {
    name: 'RangeError',
  })
})

t.test('describeGuest() names the guest for the log', async (t) => {
  const listener = guestListener({ ...place, ...routerIdentity }, account)

  t.strictSame(describeGuest(identifyGuest(listener, address, mac)), {
    scope: `router/${testRouterId}`,
    netns: 'qrouter-x',
    source: '10.0.0.10',
    sourceMac: 'fa:16:3e:00:00:10',
  })
})
