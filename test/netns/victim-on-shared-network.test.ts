import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit, type Visit } from '../support/guest-visit.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { ipBatch, makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { become, Segment, type Guest, type GuestPlan } from '../support/segment.ts'
import { WholeChain } from '../support/whole-chain.ts'

const tries = 16
const metadataIpv4 = '169.254.169.254'

/** One network of the router: what the router is there, and the guest on it. */
interface Place {
  readonly device: string
  readonly gateway: string
  readonly gatewayMac: string
  readonly mac: string
  readonly ip: string
}

/** A network that several tenants share, with the victim on it. */
const shared: Place = {
  device: 'qr-22222222-7c',
  gateway: '10.0.2.1',
  gatewayMac: 'fa:16:3e:ff:00:02',
  mac: 'fa:16:3e:00:00:20',
  ip: '10.0.2.32',
}
/** The attacker's own, on which port security is off. */
const owned: Place = {
  device: 'qr-11111111-7c',
  gateway: '10.0.1.1',
  gatewayMac: 'fa:16:3e:ff:00:01',
  mac: 'fa:16:3e:00:00:10',
  ip: '10.0.1.16',
}

function planOf({ mac, ip, gatewayMac }: Place, more: Partial<GuestPlan> = {}): GuestPlan {
  return {
    mac,
    addresses: [`${ip}/24`],
    routes: [`${metadataIpv4}/32`, `${metadataIpv6}/128`],
    neighbours: [metadataIpv4, metadataIpv6].map((address) => `${address} lladdr ${gatewayMac}`),
    ...more,
  }
}

/** The attacker's router has joined the shared network to the attacker's own. */
function makeScene(t: Test) {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const plug = (place: Place): Guest => {
    const { device, gateway, gatewayMac: mac } = place
    const segment = new Segment(t)
    segment.attach({ netns, device, mac, addresses: [`${gateway}/24`, 'fe80::1/64'] })
    return segment.addGuest(planOf(place))
  }
  const ids = { router: randomUUID(), shared: randomUUID(), owned: randomUUID() }
  const instance = (name: string, network: string, { mac, ip }: Place): unknown => ({
    name,
    ports: [{ network, mac, fixed_ips: [ip] }],
  })
  const topology = {
    networks: [
      { id: ids.shared, project: 'everybody' },
      { id: ids.owned, project: 'attacker' },
    ],
    routers: [{ id: ids.router, project: 'attacker' }],
    ports: [
      routerPortBehind(shared.device, ids.router, ids.shared),
      routerPortBehind(owned.device, ids.router, ids.owned),
    ],
    instances: [instance('victim', ids.shared, shared), instance('attacker', ids.owned, owned)],
  }
  return { netns, ids, topology, victim: plug(shared), attacker: plug(owned) }
}

/** What the attacker makes of itself, with a route of the router to itself where it needs the answers. */
const attacks: readonly {
  readonly what: string
  readonly as: Partial<GuestPlan>
  readonly visit: Visit
  readonly isRouted?: true
}[] = [
  {
    what: 'link-local address of its MAC, by IPv6',
    as: { mac: shared.mac, linkLocal: 'eui64' },
    visit: { host: metadataIpv6 },
  },
  {
    what: 'MAC and IPv4 address, with an extra route',
    as: { mac: shared.mac, addresses: [`${owned.ip}/24`, `${shared.ip}/32`] },
    visit: { from: shared.ip },
    isRouted: true,
  },
  {
    what: 'IPv4 address alone, with an extra route',
    as: { addresses: [`${owned.ip}/24`, `${shared.ip}/32`] },
    visit: { from: shared.ip },
    isRouted: true,
  },
]

const refused = /^(?:no_port|ingress_mismatch|source_mac_\w+)$/

if (skipUnlessPrivileged(t)) {
  for (const direct of [false, true]) {
    t.test(`${direct ? 'under leases' : 'over the agent'}: no guest is the victim`, async (t) => {
      const sockets = await GuestSockets.open()
      t.teardown(() => sockets.close())
      const { netns, ids, topology, victim, attacker } = makeScene(t)
      const chain = await WholeChain.start(t, { topology, direct })
      chain.name(netns, `qrouter-${ids.router}`)
      await chain.untilServing(1)

      const honest = async (when: string): Promise<void> => {
        for (const [guest, name] of [
          [victim, 'victim'],
          [attacker, 'attacker'],
        ] as const) {
          for (const how of [{}, { host: metadataIpv6 }]) {
            const { whose, reason } = await visit(sockets, guest, how)
            t.equal(whose, name, `${when}: the ${name} gets its own (${reason ?? 'answered'})`)
          }
        }
      }
      await honest('before')
      for (const policy of ['prefer', 'verify'] as const) {
        if (policy === 'verify') await chain.restartAgent(policy)
        for (const { what, as, visit: how, isRouted } of attacks) {
          await visit(sockets, victim)
          const liar = become(attacker, planOf(owned, as))
          const route = `${shared.ip}/32 via ${owned.ip} dev ${owned.device}`
          ipBatch(['neigh flush all', ...(isRouted ? [`route replace ${route}`] : [])], netns)
          const outcomes = await Promise.all(
            Array.from({ length: tries }, () => visit(sockets, liar, how)),
          )
          for (const { whose, reason } of outcomes) {
            t.equal(whose, undefined, `${policy}, the victim's ${what}`)
            t.match(reason, refused)
          }
          if (isRouted) ipBatch([`route del ${route}`], netns)
          become(attacker, planOf(owned))
          ipBatch(['neigh flush all'], netns)
        }
      }
      await honest('after')
    })
  }
}
