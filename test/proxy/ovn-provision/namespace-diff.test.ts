import t from 'tap'
import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { LinkAddress } from '../../../proxy/netlink/addresses.ts'
import type { Link } from '../../../proxy/netlink/links.ts'
import {
  diffNetwork,
  isUnchanged,
  type ActualNetwork,
  type NetworkChanges,
} from '../../../proxy/ovn-provision/namespace-diff.ts'
import type { NetworkPlan } from '../../../proxy/ovn-provision/shared/network-plan.ts'

const mac = 'fa:16:3e:00:00:02' as MacAddress
const plan: NetworkPlan = {
  networkId: '11111111-0000-4000-8000-000000000001' as NetworkId,
  macAddress: mac,
  mtu: 1442,
  addresses: ['10.0.0.2/24'],
  ipv6: true,
  fillsChecksums: false,
}
const outside: Link = {
  index: 7,
  name: 'tap11111111-00',
  isUp: true,
  mtu: 1442,
  kind: 'veth',
  peerIndex: 2,
}
const inside: Link = {
  index: 2,
  name: 'tap11111111-01',
  isUp: true,
  mtu: 1442,
  macAddress: mac,
  kind: 'veth',
  peerIndex: 7,
}

function has(text: string, details: Partial<LinkAddress> = {}): LinkAddress {
  const [address = '', prefix] = text.split('/')
  return {
    linkIndex: 2,
    address: address as IpAddress,
    prefix: Number(prefix),
    isDuplicate: false,
    isTentative: false,
    ...details,
  }
}

const metadataV4 = '169.254.169.254/32'
const metadataV6 = 'fe80::a9fe:a9fe/128'
const ownV6 = 'fe80::f816:3eff:fe00:2/64'
const all = ['10.0.0.2/24', metadataV4, metadataV6, ownV6]
const usual = { hostHasIpv6: true, retriesDuplicates: false }

function diff(
  actual: Partial<ActualNetwork>,
  options = usual,
  wanted: NetworkPlan = plan,
): NetworkChanges {
  const changes = diffNetwork(
    wanted,
    { outside, inside, addresses: all.map((one) => has(one)), ...actual },
    options,
  )
  if ('refusal' in changes) throw new Error(changes.refusal)
  return changes
}

function texts(list: NetworkChanges['add']): readonly string[] {
  return list.map(({ address, prefix }) => `${address}/${prefix}`)
}

t.test('diffNetwork finds nothing to do where all is as planned', async (t) => {
  t.equal(isUnchanged(diff({})), true)
})

t.test('diffNetwork makes everything where there is nothing', async (t) => {
  const changes = diff({ outside: undefined, inside: undefined, addresses: [] })
  t.match(changes, {
    makePair: true,
    removeOutside: false,
    removeInside: false,
    outside: { up: true },
    inside: { up: true, withoutOwnAddress: true },
  })
  t.strictSame(texts(changes.add), all, 'IPv4 first')
  t.strictSame(changes.remove, [])
})

for (const [name, there, remove, add] of [
  ['an empty interface', [], [], all],
  ['the metadata address there', [metadataV4], [], ['10.0.0.2/24', metadataV6, ownV6]],
  [
    'addresses of the past',
    [...all, '10.9.0.2/24', 'fd00::2/64'],
    ['10.9.0.2/24', 'fd00::2/64'],
    [],
  ],
  ['a mixture', ['10.0.0.9/24', ownV6], ['10.0.0.9/24'], ['10.0.0.2/24', metadataV4, metadataV6]],
  [
    'another length of the prefix',
    ['10.0.0.2/16', metadataV4, metadataV6, ownV6],
    ['10.0.0.2/16'],
    ['10.0.0.2/24'],
  ],
] as const) {
  t.test(`diffNetwork with ${name}`, async (t) => {
    const changes = diff({ addresses: there.map((one) => has(one)) })
    t.strictSame(texts(changes.remove), remove)
    t.strictSame(texts(changes.add), add)
  })
}

t.test('diffNetwork removes IPv6 where no guest or no host has it', async (t) => {
  for (const changes of [
    diff({}, usual, { ...plan, ipv6: false }),
    diff({}, { ...usual, hostHasIpv6: false }),
  ]) {
    t.strictSame(texts(changes.remove), [metadataV6, ownV6])
    t.strictSame(changes.add, [])
  }
})

t.test('diffNetwork corrects MAC, MTU and state of the ends', async (t) => {
  const changes = diff({
    outside: { ...outside, mtu: 1500 },
    inside: { ...inside, macAddress: 'fa:16:3e:00:00:99' as MacAddress, isUp: false },
  })
  t.strictSame(changes.outside, { mtu: 1442 })
  t.strictSame(changes.inside, { macAddress: mac, withoutOwnAddress: true, up: true })
  const { mtu: _, ...withoutMtu } = plan
  t.equal(isUnchanged(diff({ outside: { ...outside, mtu: 9000 } }, usual, withoutMtu)), true)
})

t.test('diffNetwork replaces ends that are not of one cable', async (t) => {
  t.match(diff({ inside: undefined }), { makePair: true, removeOutside: true, removeInside: false })
  t.match(diff({ outside: undefined }), {
    makePair: true,
    removeOutside: false,
    removeInside: true,
  })
  const changes = diff({ inside: { ...inside, peerIndex: 8 } })
  t.match(changes, { makePair: true, removeOutside: true, removeInside: true })
  t.strictSame(texts(changes.add), all, 'a new interface has no addresses')
})

t.test('diffNetwork refuses to touch what is no veth', async (t) => {
  for (const actual of [
    { outside: { ...outside, kind: 'tun' }, inside },
    { outside, inside: { ...inside, kind: 'bridge' } },
  ]) {
    t.match(diffNetwork(plan, { ...actual, addresses: [] }, usual), { refusal: /not a veth/ })
  }
})

t.test("diffNetwork tries an address again that was another's, on request", async (t) => {
  const addresses = all.map((one) => has(one, { isDuplicate: one === metadataV6 }))
  t.equal(isUnchanged(diff({ addresses })), true)
  const changes = diff({ addresses }, { ...usual, retriesDuplicates: true })
  t.strictSame(texts(changes.remove), [metadataV6])
  t.strictSame(texts(changes.add), [metadataV6])
})
