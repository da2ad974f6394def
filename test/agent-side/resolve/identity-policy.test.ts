import t from 'tap'
import {
  decideIdentity,
  portQueries,
  type SourceMacPolicy,
} from '../../../agent-side/resolve/identity-policy.ts'
import { placeOf } from '../../../agent-side/resolve/place.ts'
import type { LookupKey } from '../../../agent-side/resolve/resolution.ts'
import type { Port } from '../../../agent-side/ports/directory/port-directory.ts'
import { instanceId, ip, mac, networkId, portId, projectId } from '../../conformance/topology.ts'

const network = networkId(1)
const otherNetwork = networkId(2)

function port(number: number, fixedIps: readonly string[], changes: Partial<Port> = {}): Port {
  return {
    portId: portId(number),
    networkId: network,
    macAddress: mac(number),
    fixedIps: fixedIps.map(ip),
    instanceId: instanceId(number),
    projectId: projectId(1),
    ...changes,
  }
}

function key(sourceIp: string, sourceMac?: number): LookupKey {
  const scope = { kind: 'network', networkId: network } as const
  return {
    scope,
    sourceIp: ip(sourceIp),
    sourceMac: sourceMac === undefined ? undefined : mac(sourceMac),
  }
}

const a = port(0xa, ['10.0.0.10'])
const b = port(0xb, ['10.0.0.11', 'fd00::11'])
const twin = port(0xc, ['10.0.0.10'], { networkId: otherNetwork })
const { instanceId: _instance, ...orphan } = port(0xd, ['10.0.0.13'])
const { projectId: _project, ...ownerless } = port(0xe, ['10.0.0.14'])
const withLinkLocal = port(0xf, ['fe80::f00d'])
/** fe80::f816:3eff:fe00:a holds fa:16:3e:00:00:0a. */
const eui64OfA = 'fe80::f816:3eff:fe00:a'
const eui64OfNobody = 'fe80::f816:3eff:fe00:99'
const stablePrivacy = 'fe80::8d2b:11:22:33'

const all = [a, b, orphan, ownerless, withLinkLocal]
const both = [network, otherNetwork]

type Expected = Port | string
const cases: readonly (readonly [string, SourceMacPolicy, LookupKey, readonly Port[], Expected])[] =
  [
    ['address and MAC of one port', 'prefer', key('10.0.0.10', 0xa), all, a],
    ['address and MAC of one port, when verified', 'verify', key('10.0.0.10', 0xa), all, a],
    ['address and MAC of two ports', 'prefer', key('10.0.0.10', 0xb), all, 'source_mac_conflict'],
    ['address and MAC of two ports, when MACs are off', 'off', key('10.0.0.10', 0xb), all, a],
    ['a MAC of a port and an address of none', 'prefer', key('10.0.0.99', 0xa), all, 'no_port'],
    ['an unknown MAC and a known address', 'prefer', key('10.0.0.10', 0x99), all, a],
    ['an unknown MAC, when verified', 'verify', key('10.0.0.10', 0x99), all, 'source_mac_unknown'],
    ['an unknown MAC and an unknown address', 'prefer', key('10.0.0.99', 0x99), all, 'no_port'],
    [
      'an unknown MAC and an address of two',
      'prefer',
      key('10.0.0.10', 0x99),
      [a, twin],
      'ambiguous_port',
    ],
    ['no MAC and one port', 'prefer', key('10.0.0.10'), all, a],
    ['no MAC and one port, when verified', 'verify', key('10.0.0.10'), all, a],
    ['no MAC and two ports', 'prefer', key('10.0.0.10'), [a, twin], 'ambiguous_port'],
    ['no MAC and no port', 'prefer', key('10.0.0.99'), all, 'no_port'],
    [
      'two ports with the address, told apart by MAC',
      'prefer',
      key('10.0.0.10', 0xc),
      [a, twin],
      twin,
    ],
    [
      'two ports with address and MAC',
      'prefer',
      key('10.0.0.10', 0xa),
      [a, { ...twin, macAddress: mac(0xa) }],
      'ambiguous_port',
    ],
    ['one port reported twice', 'prefer', key('10.0.0.10', 0xa), [a, { ...a }], a],
    [
      'one port in two versions',
      'prefer',
      key('10.0.0.10', 0xa),
      [a, { ...a, instanceId: instanceId(7) }],
      'ambiguous_port',
    ],
    ['a port without instance', 'prefer', key('10.0.0.13', 0xd), all, 'port_without_instance'],
    ['a port without project', 'prefer', key('10.0.0.14', 0xe), all, 'port_without_project'],
    ['an IPv6 address', 'prefer', key('fd00::11', 0xb), all, b],
    [
      'a port outside the networks',
      'prefer',
      key('10.0.0.10'),
      [{ ...a, networkId: networkId(9) }],
      'no_port',
    ],
    ['a link-local address by its source MAC', 'prefer', key(stablePrivacy, 0xa), all, a],
    ['a link-local address by EUI-64', 'prefer', key(eui64OfA), all, a],
    ['a link-local address by EUI-64, when MACs are off', 'off', key(eui64OfA, 0xb), all, a],
    [
      'a link-local address with the MAC of another port',
      'prefer',
      key(eui64OfA, 0xb),
      all,
      'source_mac_conflict',
    ],
    ['a link-local address with the MAC of nobody', 'prefer', key(eui64OfNobody, 0xb), all, b],
    [
      'a link-local address of another port from an unknown MAC',
      'prefer',
      key(eui64OfA, 0x99),
      all,
      'source_mac_conflict',
    ],
    [
      'a link-local address from an unknown MAC',
      'prefer',
      key(stablePrivacy, 0x99),
      all,
      'no_port',
    ],
    [
      'a link-local address from an unknown MAC, when verified',
      'verify',
      key(stablePrivacy, 0x99),
      all,
      'source_mac_unknown',
    ],
    ['a link-local address of nobody by EUI-64', 'prefer', key(eui64OfNobody), all, 'no_port'],
    [
      'a link-local address without any MAC',
      'prefer',
      key(stablePrivacy),
      all,
      'link_local_without_mac',
    ],
    [
      'a link-local address when MACs are off',
      'off',
      key(stablePrivacy, 0xa),
      all,
      'link_local_without_mac',
    ],
    ['a link-local fixed IP', 'prefer', key('fe80::f00d', 0xf), all, withLinkLocal],
    ['a link-local fixed IP without any MAC', 'prefer', key('fe80::f00d'), all, withLinkLocal],
    [
      'a link-local fixed IP from another port',
      'prefer',
      key('fe80::f00d', 0xa),
      all,
      'source_mac_conflict',
    ],
    [
      'a link-local fixed IP from an unknown MAC',
      'prefer',
      key('fe80::f00d', 0x99),
      all,
      'source_mac_conflict',
    ],
    [
      'a link-local fixed IP from an unknown MAC, when verified',
      'verify',
      key('fe80::f00d', 0x99),
      all,
      'source_mac_unknown',
    ],
    [
      'a MAC that two ports of the scope have, link-local',
      'prefer',
      key(stablePrivacy, 0xa),
      [a, { ...twin, macAddress: mac(0xa) }],
      'ambiguous_port',
    ],
  ]

for (const [what, policy, lookupKey, ports, expected] of cases) {
  t.test(`decideIdentity() decides ${what}`, async (t) => {
    const verdict = decideIdentity({ sourceMac: policy }, lookupKey, placeOf(both), ports)

    if (typeof expected === 'string') {
      t.equal(verdict.kind === 'found' ? verdict.identity.portId : verdict.reason, expected)
    } else {
      t.equal(verdict.kind === 'found' && verdict.identity.portId, expected.portId)
      t.equal(verdict.kind === 'found' && verdict.identity.instanceId, expected.instanceId)
      t.equal(verdict.kind === 'found' && verdict.identity.sourceIp, lookupKey.sourceIp)
    }
    t.match(verdict.evidence.why, /\.$/)
  })
}

t.test('decideIdentity() takes no networks for none, never for all', async (t) => {
  const verdict = decideIdentity({ sourceMac: 'prefer' }, key('10.0.0.10', 0xa), placeOf([]), all)
  t.equal(verdict.kind === 'none' && verdict.reason, 'no_network')
})

t.test('portQueries() looks up the address and the MAC in one query', async (t) => {
  t.strictSame(portQueries('prefer', key('10.0.0.10', 0xa), [network]), [
    { networkIds: [network], fixedIp: '10.0.0.10', macAddress: mac(0xa) },
  ])
  t.strictSame(portQueries('off', key('10.0.0.10', 0xa), [network]), [
    { networkIds: [network], fixedIp: '10.0.0.10' },
  ])
})

t.test('portQueries() needs a second query for another MAC inside a link-local', async (t) => {
  t.strictSame(portQueries('prefer', key(eui64OfA, 0xb), [network]), [
    { networkIds: [network], fixedIp: eui64OfA, macAddress: mac(0xb) },
    { networkIds: [network], macAddress: mac(0xa) },
  ])
  t.equal(portQueries('prefer', key(eui64OfA, 0xa), [network]).length, 1)
})
