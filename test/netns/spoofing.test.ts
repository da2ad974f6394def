import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import { headedTable } from '../../lib/observe/text-table.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit, type Outcome, type Visit } from '../support/guest-visit.ts'
import { ipBatch, makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import {
  become,
  eui64Of,
  Segment,
  setKernel,
  type Guest,
  type GuestPlan,
} from '../support/segment.ts'
import { routerPortBehind } from '../support/made-links.ts'
import { WholeChain } from '../support/whole-chain.ts'

const metadataIpv4 = '169.254.169.254'
const gatewayMac = 'fa:16:3e:ff:00:01'
const own = { mac: 'fa:16:3e:00:00:11', ip: '10.0.0.11', ip6: 'fd00::11' }
const neighbour = { mac: 'fa:16:3e:00:00:10', ip: '10.0.0.10', ip6: 'fd00::10' }
const unknown = { mac: 'fa:16:3e:00:00:99', ip: '10.0.0.99', ip6: 'fd00::99' }
const outsideAddress = '192.0.2.1'

/** What happened: whose data, our reason code, or `silence` for no connection and no answer. */
type Word = string

interface Attempt {
  readonly what: string
  /** What the attacker makes of itself; it is itself otherwise. */
  readonly as?: Partial<GuestPlan>
  readonly visit?: Visit
  /** By policy, in the order of {@link policies}; one word for all of them. */
  readonly expect: Word | readonly [prefer: Word, verify: Word, off: Word]
  /** Why the neighbour's data cannot be kept from it at this layer. */
  readonly cannotTell?: string
  /** The kernel refuses it, whatever the policy: tried once in each namespace. */
  readonly once?: true
  /** SYN cookies are forced in the service namespace meanwhile. */
  readonly cookies?: true
}

const policies = ['prefer', 'verify', 'off'] as const satisfies readonly SourceMacPolicy[]
const bothTaken = 'MAC and address are both the neighbour’s: only port security tells them apart'
const overIpv6 = { host: metadataIpv6 }

/** The neighbour has asked before each of these, and says nothing while they run: the best case for whoever takes its place. */
const attempts: readonly Attempt[] = [
  { what: 'itself', expect: 'own' },
  {
    what: "neighbour's address, own MAC",
    as: { addresses: [`${neighbour.ip}/24`] },
    expect: ['source_mac_conflict', 'source_mac_conflict', 'neighbour'],
  },
  {
    what: "own address, neighbour's MAC",
    as: { mac: neighbour.mac },
    expect: ['source_mac_conflict', 'source_mac_conflict', 'own'],
  },
  {
    what: "neighbour's address and MAC",
    as: { mac: neighbour.mac, addresses: [`${neighbour.ip}/24`] },
    expect: 'neighbour',
    cannotTell: bothTaken,
  },
  {
    what: "neighbour's address, unknown MAC",
    as: { mac: unknown.mac, addresses: [`${neighbour.ip}/24`] },
    expect: ['source_mac_conflict', 'source_mac_unknown', 'neighbour'],
  },
  {
    what: 'own address, unknown MAC',
    as: { mac: unknown.mac },
    expect: ['source_mac_conflict', 'source_mac_unknown', 'own'],
  },
  {
    what: 'unknown address, own MAC',
    as: { addresses: [`${unknown.ip}/24`] },
    expect: 'no_port',
  },
  {
    what: "unknown address, neighbour's MAC",
    as: { mac: neighbour.mac, addresses: [`${unknown.ip}/24`] },
    expect: 'no_port',
  },
  {
    what: "gateway's address, own MAC",
    as: { addresses: ['10.0.0.1/24'] },
    once: true,
    expect: 'silence',
  },
  {
    what: "gateway's MAC, own address",
    as: { mac: gatewayMac },
    once: true,
    expect: 'silence',
  },
  {
    what: "neighbour's address, SYN cookies forced",
    as: { addresses: [`${neighbour.ip}/24`] },
    cookies: true,
    expect: ['neighbour', 'source_mac_missing', 'neighbour'],
    cannotTell: 'under SYN cookies the kernel keeps no MAC: only port security tells them apart',
  },
  {
    what: "neighbour's EUI-64, own MAC",
    as: { linkLocal: eui64Of(neighbour.mac) },
    visit: overIpv6,
    expect: ['source_mac_conflict', 'source_mac_conflict', 'neighbour'],
  },
  {
    what: "neighbour's EUI-64, unknown MAC",
    as: { mac: unknown.mac, linkLocal: eui64Of(neighbour.mac) },
    visit: overIpv6,
    expect: ['source_mac_conflict', 'source_mac_conflict', 'neighbour'],
  },
  {
    what: "neighbour's EUI-64 and MAC",
    as: { mac: neighbour.mac, linkLocal: eui64Of(neighbour.mac) },
    visit: overIpv6,
    expect: 'neighbour',
    cannotTell: bothTaken,
  },
  {
    what: "made-up link-local, neighbour's MAC",
    as: { mac: neighbour.mac, linkLocal: 'fe80::99/64' },
    visit: overIpv6,
    expect: ['neighbour', 'neighbour', 'link_local_without_mac'],
    cannotTell: 'only the MAC speaks for a link-local address: only port security tells them apart',
  },
  {
    what: 'made-up link-local, own MAC',
    as: { linkLocal: 'fe80::99/64' },
    visit: overIpv6,
    expect: ['own', 'own', 'link_local_without_mac'],
  },
  {
    what: 'made-up link-local, unknown MAC',
    as: { mac: unknown.mac, linkLocal: 'fe80::99/64' },
    visit: overIpv6,
    expect: ['no_port', 'source_mac_unknown', 'link_local_without_mac'],
  },
  {
    what: "neighbour's IPv6 address, own MAC",
    as: { addresses: [`${neighbour.ip6}/64`] },
    visit: { ...overIpv6, from: neighbour.ip6 },
    expect: ['source_mac_conflict', 'source_mac_conflict', 'neighbour'],
  },
  {
    what: "neighbour's IPv6 address, unknown MAC",
    as: { mac: unknown.mac, addresses: [`${neighbour.ip6}/64`] },
    visit: { ...overIpv6, from: neighbour.ip6 },
    expect: ['source_mac_conflict', 'source_mac_unknown', 'neighbour'],
  },
  {
    what: "neighbour's IPv4 address as an IPv6 one, own MAC",
    as: { addresses: [`::${neighbour.ip}/120`] },
    visit: { ...overIpv6, from: `::${neighbour.ip}` },
    expect: 'no_port',
  },
  {
    what: "neighbour's IPv4 address as an IPv6 one, unknown MAC",
    as: { mac: unknown.mac, addresses: [`::${neighbour.ip}/120`] },
    visit: { ...overIpv6, from: `::${neighbour.ip}` },
    expect: ['no_port', 'source_mac_unknown', 'no_port'],
  },
  {
    what: "gateway's link-local address, own MAC",
    as: { linkLocal: 'fe80::1/64' },
    once: true,
    visit: overIpv6,
    expect: 'silence',
  },
  {
    what: 'port 9697 of the gateway',
    visit: { host: '10.0.0.1', tcpPort: 9697 },
    expect: 'silence',
  },
  {
    what: 'port 9697 of the gateway by IPv6',
    visit: { host: 'fe80::1', tcpPort: 9697 },
    expect: 'silence',
  },
  {
    what: 'port 9697 of the metadata address',
    visit: { host: metadataIpv4, tcpPort: 9697 },
    expect: 'silence',
  },
  { what: 'port 80 of the gateway', visit: { host: '10.0.0.1' }, expect: 'silence' },
  {
    what: 'port 80 of the gateway by IPv6',
    visit: { host: 'fe80::1' },
    expect: 'silence',
  },
  ...forgeries(),
]

/** Every header that ever meant an identity somewhere, with the neighbour's values. */
function forgeries(): Attempt[] {
  const lines = [
    `X-Forwarded-For: ${neighbour.ip}`,
    `x-forwarded-for: ${neighbour.ip}, ${neighbour.ip}`,
    `X_Forwarded_For: ${neighbour.ip}`,
    `Forwarded: for=${neighbour.ip}`,
    `X-Real-IP: ${neighbour.ip}`,
    'X-Neutron-Router-ID: ROUTER',
    'X-Neutron-Network-ID: NETWORK',
    'X-OVN-Network-ID: NETWORK',
    `X-Overlapd-Source-MAC: ${neighbour.mac}`,
    'X-Instance-ID: INSTANCE',
    'X-Tenant-ID: project-of-tests',
    `X-Instance-ID-Signature: ${'0'.repeat(64)}`,
    'X-Metadata-Provider: NETWORK',
    `X-Metadata-Provider-Signature: ${'0'.repeat(64)}`,
    'X-Request-ID: req-00000000-0000-0000-0000-000000000000',
    'Connection: X-Forwarded-For, X-Instance-ID, X-Overlapd-Source-MAC',
    `Host: ${neighbour.ip}`,
  ]
  return [...lines.map((line) => [line]), lines, lines.flatMap((line) => [line, line])].map(
    (fields) => ({
      what: fields.length === 1 ? (fields[0] ?? '') : `${fields.length} of these headers at once`,
      visit: { fields },
      // Two Host fields are no valid request.
      expect: fields.filter((line) => line.startsWith('Host')).length > 1 ? 'host_invalid' : 'own',
    }),
  )
}

interface Scene {
  readonly kind: 'router' | 'dhcp'
  readonly netns: string
  readonly segment: Segment
  readonly network: string
  readonly router: string
  readonly neighbourInstance: string
  readonly attacker: Guest
  readonly victim: Guest
}

function planOf(who: typeof own): GuestPlan {
  return {
    mac: who.mac,
    addresses: [`${who.ip}/24`, `${who.ip6}/64`],
    // Nobody has to be asked for the way, so that an address of the gateway can be tried as well.
    routes: [`${metadataIpv4}/32`, `${metadataIpv6}/128`, '10.0.0.1/32', 'fe80::1/128'],
    neighbours: [metadataIpv4, metadataIpv6, '10.0.0.1', 'fe80::1'].map(
      (address) => `${address} lladdr ${gatewayMac}`,
    ),
  }
}

function makeScene(t: Test, kind: 'router' | 'dhcp'): Scene {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const segment = new Segment(t)
  segment.attach({
    netns,
    device: kind === 'router' ? 'qr-7e57ab1e-00' : 'tap7e57ab1e-00',
    mac: gatewayMac,
    addresses: [
      '10.0.0.1/24',
      'fd00::1/64',
      'fe80::1/64',
      // A tenant may choose such a range for a subnet.
      '::10.0.0.1/120',
      ...(kind === 'dhcp' ? [`${metadataIpv4}/32`, `${metadataIpv6}/128`] : []),
    ],
  })
  return {
    kind,
    netns,
    segment,
    network: randomUUID(),
    router: randomUUID(),
    neighbourInstance: randomUUID(),
    attacker: segment.addGuest(planOf(own)),
    victim: segment.addGuest(planOf(neighbour)),
  }
}

function topologyOf(scenes: readonly Scene[]): unknown {
  return {
    networks: scenes.map(({ network }) => ({ id: network, project: 'project-of-tests' })),
    routers: scenes.filter(({ kind }) => kind === 'router').map(({ router }) => ({ id: router })),
    ports: scenes
      .filter(({ kind }) => kind === 'router')
      .map(({ router, network }) => routerPortBehind('qr-7e57ab1e-00', router, network)),
    instances: scenes.flatMap(({ network, kind, neighbourInstance }) =>
      Object.entries({ own, neighbour }).map(([name, { mac, ip, ip6 }]) => ({
        name: `${name} of ${kind}`,
        ...(name === 'neighbour' && { id: neighbourInstance }),
        ports: [{ network, mac, fixed_ips: [ip, ip6] }],
      })),
    ),
  }
}

function wordOf({ status, whose, reason }: Outcome, kind: string): Word {
  if (whose !== undefined) return whose.replace(` of ${kind}`, '')
  return status === 0 ? 'silence' : (reason ?? 'none')
}

/** The neighbour asks, falls silent, and the attacker tries. */
async function tryOut(sockets: GuestSockets, scene: Scene, attempt: Attempt): Promise<Word> {
  const { segment, netns, kind, victim, network, router } = scene
  const fields = attempt.visit?.fields?.map((line) =>
    line
      .replace('ROUTER', router)
      .replace('NETWORK', network)
      .replace('INSTANCE', scene.neighbourInstance),
  )
  const asked = { ...attempt.visit, ...(fields && { fields }) }
  if (attempt.as === undefined) return wordOf(await visit(sockets, scene.attacker, asked), kind)
  await visit(sockets, victim)
  await visit(sockets, victim, overIpv6)
  const plan = { ...planOf(own), ...attempt.as }
  const attacker = become(scene.attacker, plan)
  segment.setPlugged(victim, false)
  ipBatch(['neigh flush all'], netns)
  if (attempt.cookies) setKernel(netns, ['net.ipv4.tcp_syncookies=2'])
  try {
    return wordOf(await visit(sockets, attacker, asked), kind)
  } finally {
    if (attempt.cookies) setKernel(netns, ['net.ipv4.tcp_syncookies=1'])
    segment.setPlugged(victim, true)
    become(scene.attacker, planOf(own))
    ipBatch(['neigh flush all'], netns)
  }
}

async function openSockets(t: Test): Promise<GuestSockets> {
  const sockets = await GuestSockets.open()
  t.teardown(() => sockets.close())
  return sockets
}

/** @returns one word for each attempt */
async function tryAll(
  t: Test,
  sockets: GuestSockets,
  scene: Scene,
  { policy, isFirst }: { readonly policy: SourceMacPolicy; readonly isFirst: boolean },
): Promise<Word[]> {
  const words: Word[] = []
  // Those that change nothing about the attacker need not wait for each other.
  const asItself = await Promise.all(
    attempts.map(async (one) =>
      one.as === undefined ? await tryOut(sockets, scene, one) : undefined,
    ),
  )
  for (const [index, attempt] of attempts.entries()) {
    if (attempt.once && !isFirst) {
      words.push('')
      continue
    }
    const word = asItself[index] ?? (await tryOut(sockets, scene, attempt))
    const expected =
      typeof attempt.expect === 'string' ? attempt.expect : attempt.expect[policies.indexOf(policy)]
    t.equal(word, expected, `${attempt.what}: ${word}`)
    const isAnothers = word === 'neighbour' && policy !== 'off'
    if (isAnothers) t.ok(attempt.cannotTell, `${attempt.what}: named as what cannot be told`)
    words.push(word)
  }
  return words
}

/** Each policy in a router's namespace, and over leases; in the DHCP namespace the others differ in nothing. */
const allRounds: readonly {
  readonly direct: boolean
  readonly rounds: readonly (readonly [Scene['kind'], SourceMacPolicy])[]
}[] = [
  {
    direct: false,
    rounds: [
      ['router', 'prefer'],
      ['router', 'verify'],
      ['router', 'off'],
      ['dhcp', 'prefer'],
    ],
  },
  {
    direct: true,
    rounds: [['router', 'prefer']],
  },
]

if (skipUnlessPrivileged(t)) {
  t.test('a guest that claims to be another gets a refusal or its own', async (t) => {
    const sockets = await openSockets(t)
    const scenes = (['router', 'dhcp'] as const).map((kind) => makeScene(t, kind))
    const columns: { readonly heading: string; readonly words: readonly Word[] }[] = []
    for (const { direct, rounds } of allRounds) {
      const chain = await WholeChain.start(t, { topology: topologyOf(scenes), direct })
      for (const { kind, netns, router, network } of scenes) {
        chain.name(netns, kind === 'router' ? `qrouter-${router}` : `qdhcp-${network}`)
      }
      await chain.untilServing(scenes.length)
      for (const [kind, policy] of rounds) {
        await chain.restartAgent(policy)
        const heading = `${kind}, ${policy}${direct ? ', leases' : ''}`
        const isFirst = columns.every((column) => !column.heading.startsWith(kind))
        const scene = scenes.find((one) => one.kind === kind)
        await t.test(heading, async (t) => {
          columns.push({ heading, words: await tryAll(t, sockets, scene!, { policy, isFirst }) })
        })
      }
      if (direct) {
        const metrics = await chain.proxy.metrics()
        t.match(metrics, /overlapd_proxy_direct_requests_total [1-9]/, 'leases were used')
      }
      await chain.proxy.stop()
    }
    const rows = attempts.map(({ what, cannotTell }, index) => [
      what,
      ...columns.map(({ words }) => words[index] ?? ''),
      columns.some(({ words }) => words[index] === 'neighbour')
        ? (cannotTell ?? 'off: no MAC')
        : '',
    ])
    const headings = ['attempt', ...columns.map(({ heading }) => heading), 'note']
    for (const line of headedTable(headings, rows).trimEnd().split('\n')) t.comment(line)
  })

  t.test('nothing is served to the outside of a router', async (t) => {
    const sockets = await openSockets(t)
    const scene = makeScene(t, 'router')
    const outside = new Segment(t)
    outside.attach({
      netns: scene.netns,
      device: 'qg-7e57ab1e-00',
      mac: 'fa:16:3e:ff:00:02',
      addresses: [`${outsideAddress}/24`, 'fe80::2/64'],
    })
    setKernel(scene.netns, ['net.ipv4.ip_forward=1'])
    const stranger = outside.addGuest({
      mac: neighbour.mac,
      addresses: ['192.0.2.7/24'],
      routes: [`${metadataIpv4}/32 via ${outsideAddress}`, `10.0.0.0/24 via ${outsideAddress}`],
    })
    const chain = await WholeChain.start(t, { topology: topologyOf([scene]) })
    chain.name(scene.netns, `qrouter-${scene.router}`)
    await chain.untilServing(1)
    const before = chain.compute.requests().length
    const visits: readonly Visit[] = [
      {},
      { tcpPort: 9697 },
      { host: outsideAddress },
      { host: outsideAddress, tcpPort: 9697 },
      { host: '10.0.0.1', tcpPort: 9697 },
      { host: 'fe80::2' },
      { host: 'fe80::2', tcpPort: 9697 },
      overIpv6,
    ]
    const outcomes = await Promise.all(visits.map((one) => visit(sockets, stranger, one)))
    t.same(
      outcomes.map((outcome) => wordOf(outcome, 'router')),
      visits.map(() => 'silence'),
    )
    t.equal(chain.compute.requests().length, before, 'and compute was not asked')
    t.equal(wordOf(await visit(sockets, scene.attacker), 'router'), 'own', 'the inside is served')
  })
}
