import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit, type Outcome } from '../support/guest-visit.ts'
import {
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { addressesOf, eui64Of, Segment, setKernel, type Guest } from '../support/segment.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { WholeChain } from '../support/whole-chain.ts'

const metadataIpv4 = '169.254.169.254'
const gatewayMac = 'fa:16:3e:ff:00:01'

interface Instance {
  readonly name: string
  readonly network: string
  readonly mac: string
  readonly fixedIps: readonly string[]
}

function topologyOf(
  instances: readonly Instance[],
  routers: readonly {
    readonly id: string
    /** In the order of {@link deviceOf}. */
    readonly networks: readonly string[]
  }[] = [],
): unknown {
  const networks = [
    ...new Set([
      ...instances.map(({ network }) => network),
      ...routers.flatMap((one) => one.networks),
    ]),
  ]
  return {
    networks: networks.map((id) => ({ id, project: 'project-of-tests' })),
    routers: routers.map(({ id }) => ({ id })),
    ports: routers.flatMap(({ id, networks: own }) =>
      own.map((network, index) => routerPortBehind(deviceOf(index), id, network)),
    ),
    instances: instances.map(({ name, network, mac, fixedIps }) => ({
      name,
      ports: [{ network, mac, fixed_ips: fixedIps }],
    })),
  }
}

/** A router's device towards its first network, its second, … */
function deviceOf(index: number): string {
  return `qr-7e57ab1e-0${index}`
}

function newNamespace(t: Test): string {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  return netns
}

/** What an outcome is in one word, for lists of them. */
function word({ whose, reason }: Outcome): string {
  return whose ?? reason ?? ''
}

async function openSockets(t: Test): Promise<GuestSockets> {
  const sockets = await GuestSockets.open()
  t.teardown(() => sockets.close())
  return sockets
}

/** The sorts of link-local addresses that machines give themselves. */
const linkLocals = {
  eui64: 'eui64',
  stable: 'stable_secret',
  random: 'random',
  'made-up': 'fe80::99/64',
} as const

/** The same four machines, by address and by MAC, on every network: only the attachment tells them apart. */
function guestsOfEverySort(segment: Segment, routes: readonly string[]): Record<string, Guest> {
  return Object.fromEntries(
    Object.entries(linkLocals).map(([sort, linkLocal], index) => {
      const [mac, addresses] = [macOf(index), [`10.0.0.${10 + index}/24`]]
      return [sort, segment.addGuest({ mac, addresses, linkLocal, routes })]
    }),
  )
}

function macOf(index: number): string {
  return `fa:16:3e:00:00:${(16 + index).toString(16)}`
}

function instancesOf(prefix: string, network: string, guests: Record<string, Guest>): Instance[] {
  return Object.entries(guests).map(([sort, { plan }]) => ({
    name: `${prefix}-${sort}`,
    network,
    mac: plan.mac,
    fixedIps: (plan.addresses ?? []).map((text) => text.replace(/\/.*/, '')),
  }))
}

const viaRouter = [`${metadataIpv4}/32 via 10.0.0.1`, `${metadataIpv6}/128 via fe80::1`]
const viaPort = [`${metadataIpv4}/32 via 10.0.0.2`]
const routerAddresses = ['10.0.0.1/24', 'fe80::1/64']
const portAddresses = [
  '10.0.0.2/24',
  `${metadataIpv4}/32`,
  `${metadataIpv6}/128`,
  eui64Of(gatewayMac),
]

/** A router with one network for each address list, each device of its own. */
function makeRouter(t: Test, ...networks: readonly (readonly string[])[]): Router {
  const netns = newNamespace(t)
  const segments = networks.map((addresses, index) => {
    const segment = new Segment(t)
    const mac = `fa:16:3e:ff:00:0${index}`
    segment.attach({ netns, device: deviceOf(index), mac, addresses })
    return segment
  })
  return { netns, id: randomUUID(), networks: networks.map(() => randomUUID()), segments }
}

interface Router {
  readonly netns: string
  readonly id: string
  readonly networks: readonly string[]
  readonly segments: readonly Segment[]
}

if (skipUnlessPrivileged(t)) {
  t.test('each kind of attachment gives each guest its own', async (t) => {
    const sockets = await openSockets(t)
    const places = (['router', 'router', 'dhcp', 'dhcp', 'ovn', 'ovn'] as const).map(
      (kind, index) => {
        const isRouter = kind === 'router'
        const segment = new Segment(t)
        const netns = newNamespace(t)
        segment.attach({
          netns,
          device: isRouter ? 'qr-7e57ab1e-00' : 'tap7e57ab1e-00',
          mac: gatewayMac,
          addresses: isRouter ? routerAddresses : portAddresses,
        })
        const guests = guestsOfEverySort(segment, isRouter ? viaRouter : viaPort)
        const [network, router] = [randomUUID(), randomUUID()]
        const neutronName = isRouter
          ? `qrouter-${router}`
          : `${kind === 'ovn' ? 'ovnmeta' : 'qdhcp'}-${network}`
        return { name: `${kind}${index}`, kind, netns, network, router, neutronName, guests }
      },
    )
    const chain = await WholeChain.start(t, {
      topology: topologyOf(
        places.flatMap(({ name, network, guests }) => instancesOf(name, network, guests)),
        places
          .filter(({ kind }) => kind === 'router')
          .map(({ router, network }) => ({ id: router, networks: [network] })),
      ),
    })
    for (const { netns, neutronName } of places) chain.name(netns, neutronName)
    await chain.untilServing(places.length)
    await chain.proxy.until('both families', ({ namespaces }) =>
      namespaces.every(({ kind, listeners }) => listeners.length === (kind === 'router' ? 1 : 2)),
    )

    for (const { name, guests } of places) {
      for (const [sort, guest] of Object.entries(guests)) {
        const addresses = addressesOf(guest.netns, 'eth0').join(' ')
        for (const host of [metadataIpv4, metadataIpv6]) {
          const outcome = await visit(sockets, guest, { host })
          t.equal(word(outcome), `${name}-${sort}`, `${name}-${sort} at ${host} from ${addresses}`)
        }
      }
    }
    t.match(
      await chain.proxy.metrics(),
      /overlapd_proxy_source_macs_total\{known="no"\} 0\n/,
      'every connection told its source MAC',
    )

    await t.test('SYN cookies leave no source MAC, and the address decides', async (t) => {
      for (const { name, netns, guests } of places) {
        setKernel(netns, ['net.ipv4.tcp_syncookies=2'])
        const sorts = Object.entries(guests)
        const byIpv4 = sorts.map(([, guest]) => visit(sockets, guest))
        t.same(
          (await Promise.all(byIpv4)).map(word),
          sorts.map(([sort]) => `${name}-${sort}`),
        )
        const byIpv6 = sorts.map(([, guest]) => visit(sockets, guest, { host: metadataIpv6 }))
        t.same(
          (await Promise.all(byIpv6)).map(word),
          sorts.map(([sort]) => (sort === 'eui64' ? `${name}-eui64` : 'link_local_without_mac')),
          'only EUI-64 holds the MAC in the address',
        )
      }
      const known = /source_macs_total\{known="no"\} (\d+)/.exec(await chain.proxy.metrics())
      t.equal(Number(known?.[1]), places.length * 8, 'every one of these was without')
    })
  })

  t.test('a router with several networks looks on all of them, and no further', async (t) => {
    const sockets = await openSockets(t)
    const router = makeRouter(t, routerAddresses, ['10.0.1.1/24', 'fe80::1/64'])
    const [one, two] = router.segments.map((segment, index) =>
      segment.addGuest({
        mac: macOf(index),
        addresses: [`10.0.${index}.10/24`],
        routes: [`${metadataIpv4}/32 via 10.0.${index}.1`, `${metadataIpv6}/128 via fe80::1`],
      }),
    )
    const stranger = router.segments[0]!.addGuest({
      mac: 'fa:16:3e:00:00:77',
      addresses: ['10.0.0.77/24'],
      routes: viaRouter,
    })
    const chain = await WholeChain.start(t, {
      topology: topologyOf(
        [
          { name: 'one', network: router.networks[0]!, mac: macOf(0), fixedIps: ['10.0.0.10'] },
          { name: 'two', network: router.networks[1]!, mac: macOf(1), fixedIps: ['10.0.1.10'] },
          {
            name: 'elsewhere',
            network: 'net-of-another',
            mac: 'fa:16:3e:00:00:77',
            fixedIps: ['10.0.0.77'],
          },
        ],
        [{ id: router.id, networks: router.networks }],
      ),
    })
    chain.name(router.netns, `qrouter-${router.id}`)
    await chain.untilServing(1)
    for (const host of [metadataIpv4, metadataIpv6]) {
      t.equal(word(await visit(sockets, one!, { host })), 'one')
      t.equal(word(await visit(sockets, two!, { host })), 'two')
      t.equal(word(await visit(sockets, stranger, { host })), 'no_port')
    }
  })

  t.test(
    'the same subnet twice on one router is distinguished by port, with and without MACs',
    async (t) => {
      const sockets = await openSockets(t)
      const router = makeRouter(t, routerAddresses, routerAddresses)
      const guests = router.segments.map((segment, index) =>
        segment.addGuest({ mac: macOf(index), addresses: ['10.0.0.10/24'], routes: viaRouter }),
      )
      // Answers go back on the network that asked, as far as the kernel is concerned.
      setKernel(router.netns, ['net.ipv4.tcp_fwmark_accept=1'])
      ipBatch(
        ['route add 10.0.0.0/24 dev qr-7e57ab1e-01 table 101', 'rule add fwmark 1 lookup 101'],
        router.netns,
      )
      const marked = await runInNetns(
        router.netns,
        ['nft', '-f', '-'],
        'table inet test {\n chain mark_second {\n type filter hook prerouting priority mangle\n iifname qr-7e57ab1e-01 meta mark set 1\n }\n}\n',
      )
      t.equal(marked.code, 0, marked.stderr)
      const chain = await WholeChain.start(t, {
        topology: topologyOf(
          ['first', 'second'].map((name, index) => ({
            name,
            network: router.networks[index]!,
            mac: macOf(index),
            fixedIps: ['10.0.0.10'],
          })),
          [{ id: router.id, networks: router.networks }],
        ),
      })
      chain.name(router.netns, `qrouter-${router.id}`)
      await chain.untilServing(1)
      const all = async (): Promise<string[]> => {
        const words: string[] = []
        for (const guest of guests) words.push(word(await visit(sockets, guest)))
        return words
      }
      t.same(await all(), ['first', 'second'])
      await chain.restartAgent('off')
      t.same(await all(), ['first', 'second'], 'without MACs too')
      await chain.restartAgent('verify')
      t.same(await all(), ['first', 'second'])
      setKernel(router.netns, ['net.ipv4.tcp_syncookies=2'])
      t.same(
        await all(),
        ['source_mac_missing', 'source_mac_missing'],
        'without the SYN nothing is verified',
      )
      await chain.restartAgent('prefer')
      t.same(await all(), ['first', 'second'], 'and the port is known all the same')
    },
  )

  t.test('networks of IPv6 alone are served', async (t) => {
    const sockets = await openSockets(t)
    const router = makeRouter(t, ['fd00::1/64', 'fe80::1/64'])
    const isolated = { netns: newNamespace(t), id: randomUUID(), segment: new Segment(t) }
    isolated.segment.attach({
      netns: isolated.netns,
      device: 'tap7e57ab1e-00',
      mac: gatewayMac,
      addresses: ['fd00::2/64', eui64Of(gatewayMac), `${metadataIpv6}/128`],
    })
    const plan = { mac: macOf(0), addresses: ['fd00::10/64'], linkLocal: 'random' } as const
    const routed = router.segments[0]!.addGuest({
      ...plan,
      routes: [`${metadataIpv6}/128 via fe80::1`],
    })
    const direct = isolated.segment.addGuest(plan)
    const chain = await WholeChain.start(t, {
      topology: topologyOf(
        [
          { name: 'routed', network: router.networks[0]!, mac: macOf(0), fixedIps: ['fd00::10'] },
          { name: 'direct', network: isolated.id, mac: macOf(0), fixedIps: ['fd00::10'] },
        ],
        [{ id: router.id, networks: router.networks }],
      ),
    })
    chain.name(router.netns, `qrouter-${router.id}`)
    chain.name(isolated.netns, `qdhcp-${isolated.id}`)
    await chain.untilServing(2)
    await chain.proxy.until('the link-local listener', ({ namespaces }) =>
      namespaces.some(({ listeners }) => listeners.includes(`[${metadataIpv6}%tap7e57ab1e-00]:80`)),
    )
    for (const [name, guest] of Object.entries({ routed, direct })) {
      t.equal(word(await visit(sockets, guest, { host: metadataIpv6 })), name)
      const fixed = { host: metadataIpv6, from: 'fd00::10' }
      t.equal(word(await visit(sockets, guest, fixed)), name, 'from its fixed IP as well')
    }

    await t.test('with temporary addresses too', async (t) => {
      for (const [name, guest] of Object.entries({ routed, direct })) {
        setKernel(guest.netns, ['net.ipv6.conf.eth0.use_tempaddr=2'])
        ipBatch(['addr add fd00::1234:5678:9abc:def0/64 dev eth0 nodad mngtmpaddr'], guest.netns)
        const temporary = addressesOf(guest.netns, 'eth0').find(
          (address) => address.startsWith('fd00') && !/::10$|def0$/.test(address),
        )
        t.ok(temporary, 'the kernel made one')
        t.equal(word(await visit(sockets, guest, { host: metadataIpv6 })), name)
        const outcome = await visit(sockets, guest, { host: metadataIpv6, from: temporary! })
        t.equal(word(outcome), 'no_port', 'which is no fixed IP of anybody')
      }
    })
  })

  t.test('a routed guest is known by its address, as far as the policy allows', async (t) => {
    const sockets = await openSockets(t)
    // Behind the machine "gate", and behind a gateway that is no port of the cloud.
    const router = makeRouter(t, ['10.0.0.1/24', 'fe80::1/64'], ['10.0.9.1/24'])
    const gate = router.segments[0]!.addGuest({
      mac: macOf(0),
      addresses: ['10.0.0.10/24'],
      routes: viaRouter,
    })
    const foreign = router.segments[1]!.addGuest({
      mac: 'de:ad:be:ef:00:01',
      addresses: ['10.0.9.7/24'],
      routes: [`${metadataIpv4}/32 via 10.0.9.1`],
    })
    const inner = [gate, foreign].map((before, index) => {
      const segment = new Segment(t)
      segment.attach({
        netns: before.netns,
        device: 'eth1',
        addresses: [`192.168.${index}.1/24`],
      })
      setKernel(before.netns, ['net.ipv4.ip_forward=1'])
      return segment.addGuest({
        mac: macOf(5 + index),
        addresses: [`192.168.${index}.5/24`],
        routes: [`${metadataIpv4}/32 via 192.168.${index}.1`],
      })
    })
    ipBatch(
      ['route add 192.168.0.0/24 via 10.0.0.10', 'route add 192.168.1.0/24 via 10.0.9.7'],
      router.netns,
    )
    const inside = randomUUID()
    const chain = await WholeChain.start(t, {
      topology: topologyOf(
        [
          { name: 'gate', network: router.networks[0]!, mac: macOf(0), fixedIps: ['10.0.0.10'] },
          { name: 'inner0', network: inside, mac: macOf(5), fixedIps: ['192.168.0.5'] },
          { name: 'inner1', network: inside, mac: macOf(6), fixedIps: ['192.168.1.5'] },
        ],
        [{ id: router.id, networks: router.networks }],
      ),
      networks: Object.fromEntries(router.networks.map((one) => [one, { behind: [inside] }])),
    })
    chain.name(router.netns, `qrouter-${router.id}`)
    await chain.untilServing(1)
    const all = async (): Promise<string[]> => {
      const words: string[] = []
      for (const guest of [gate, ...inner]) words.push(word(await visit(sockets, guest)))
      return words
    }
    t.same(await all(), ['gate', 'inner0', 'inner1'], 'prefer')
    await chain.restartAgent('verify')
    t.same(await all(), ['gate', 'inner0', 'source_mac_unknown'], 'verify')
    await chain.restartAgent('off')
    // No MAC counts, so the gate's own request says nothing about the guests it routes for.
    t.same(await all(), ['gate', 'inner0', 'inner1'], 'off')
  })
}
