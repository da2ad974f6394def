import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { GuestSockets } from '../support/connect-from.ts'
import { metadataIpv6, visit } from '../support/guest-visit.ts'
import {
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { eui64Of, Segment, type Guest } from '../support/segment.ts'
import { WholeChain } from '../support/whole-chain.ts'

const metadataIpv4 = '169.254.169.254'
const gatewayMac = 'fa:16:3e:ff:00:01'
const guestMac = 'fa:16:3e:00:00:10'
const listenerV6 = `[${metadataIpv6}%tap7e57ab1e-00]:80`

interface Place {
  readonly netns: string
  readonly network: string
  readonly segment: Segment
  readonly guest: Guest
  readonly attach: () => void
}

/** A DHCP namespace that has no interface yet, and a guest on its network. */
function makePlace(t: Test): Place {
  const netns = uniqueName()
  makeEmptyNamespaces(t, [netns])
  const segment = new Segment(t)
  const addresses = ['10.0.0.2/24', `${metadataIpv4}/32`, eui64Of(gatewayMac)]
  const guest = segment.addGuest({
    mac: guestMac,
    addresses: ['10.0.0.10/24'],
    routes: [`${metadataIpv4}/32 via 10.0.0.2`],
  })
  const attach = (): void =>
    segment.attach({ netns, device: 'tap7e57ab1e-00', mac: gatewayMac, addresses })
  return { netns, network: randomUUID(), segment, guest, attach }
}

async function startChain(t: Test, { netns, network }: Place): Promise<WholeChain> {
  const chain = await WholeChain.start(t, {
    topology: {
      networks: [{ id: network, project: 'project-of-tests' }],
      instances: [{ name: 'guest', ports: [{ network, mac: guestMac, fixed_ips: ['10.0.0.10'] }] }],
    },
  })
  chain.name(netns, `qdhcp-${network}`)
  await chain.untilServing(1)
  return chain
}

/** Adds the metadata address as Neutron does, with duplicate address detection, and waits for its end. */
async function addWithDetection(netns: string): Promise<string> {
  ipBatch([`addr replace ${metadataIpv6}/128 dev tap7e57ab1e-00`], netns)
  for (;;) {
    const { stdout } = await runInNetns(netns, [
      'ip',
      '-6',
      'addr',
      'show',
      'dev',
      'tap7e57ab1e-00',
    ])
    const line = stdout.split('\n').find((one) => one.includes(metadataIpv6)) ?? ''
    if (line.includes('dadfailed')) return 'failed'
    if (line !== '' && !line.includes('tentative')) return 'valid'
  }
}

async function openSockets(t: Test): Promise<GuestSockets> {
  const sockets = await GuestSockets.open()
  t.teardown(() => sockets.close())
  return sockets
}

if (skipUnlessPrivileged(t)) {
  t.test('a metadata address that a guest has already leaves IPv4 alone', async (t) => {
    const sockets = await openSockets(t)
    const place = makePlace(t)
    place.attach()
    const thief = place.segment.addGuest({
      mac: 'fa:16:3e:00:00:66',
      linkLocal: `${metadataIpv6}/64`,
    })
    t.equal(await addWithDetection(place.netns), 'failed')
    const chain = await startChain(t, place)
    const { proxy } = chain
    const [status] = (await proxy.status()).namespaces
    t.same(status?.listeners, [`${metadataIpv4}:80`])
    t.match(status?.why, `${listenerV6}: duplicate address detection`)
    t.match(proxy.log(), /Cannot listen in namespace as wanted/)
    t.match(proxy.log(), /remove it there, then delete and add it here/)
    t.match(await visit(sockets, place.guest), { whose: 'guest' })

    ipBatch(['link set eth0 down'], thief.netns)
    ipBatch([`addr del ${metadataIpv6}/128 dev tap7e57ab1e-00`], place.netns)
    t.equal(await addWithDetection(place.netns), 'valid')
    const after = await proxy.until(
      'IPv6',
      ({ namespaces }) => namespaces[0]?.listeners.length === 2,
    )
    t.equal(after.namespaces[0]?.why, undefined)
    t.match(proxy.log(), /Namespace recovered/)
    t.match(await visit(sockets, place.guest, { host: metadataIpv6 }), { whose: 'guest' })
    t.match(await visit(sockets, place.guest), { whose: 'guest' })
  })

  t.test(
    'an address that is still tentative delays nothing and is served when it is valid',
    async (t) => {
      const sockets = await openSockets(t)
      const place = makePlace(t)
      place.attach()
      const chain = await startChain(t, place)
      ipBatch([`addr add ${metadataIpv6}/128 dev tap7e57ab1e-00`], place.netns)
      t.match(await visit(sockets, place.guest), { whose: 'guest' })
      await chain.proxy.until('IPv6', ({ namespaces }) => namespaces[0]?.listeners.length === 2)
      t.equal(await addWithDetection(place.netns), 'valid')
      t.match(await visit(sockets, place.guest, { host: metadataIpv6 }), { whose: 'guest' })
    },
  )

  t.test(
    'a missing interface is waited for, and a new one of the same name is the same',
    async (t) => {
      const sockets = await openSockets(t)
      const place = makePlace(t)
      const chain = await startChain(t, place)
      t.match((await chain.proxy.status()).namespaces, [{ listeners: [`${metadataIpv4}:80`] }])
      place.attach()
      t.equal(await addWithDetection(place.netns), 'valid')
      t.match(await visit(sockets, place.guest), { whose: 'guest' }, 'IPv4 at once')
      await chain.proxy.until('IPv6', ({ namespaces }) => namespaces[0]?.listeners.length === 2)
      t.match(await visit(sockets, place.guest, { host: metadataIpv6 }), { whose: 'guest' })

      ipBatch(['link delete tap7e57ab1e-00'], place.netns)
      place.attach()
      t.equal(await addWithDetection(place.netns), 'valid')
      t.match(await visit(sockets, place.guest), { whose: 'guest' }, 'IPv4 at once again')
    },
  )
}
