import t from 'tap'
import {
  compileCidr,
  eui64LinkLocal,
  ipAddressBytes,
  isLinkLocalIpv6,
  macFromEui64,
  parseCidr,
  parseIpAddress,
} from '../../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../../lib/identity/mac-address.ts'

const canonical: readonly (readonly [string, string | undefined])[] = [
  ['10.0.0.10', '10.0.0.10'],
  ['::ffff:10.0.0.10', '10.0.0.10'],
  ['::FFFF:0a00:000a', '10.0.0.10'],
  ['0:0:0:0:0:ffff:10.0.0.10', '10.0.0.10'],
  // IPv4-compatible addresses are no IPv4 addresses; this is how the system writes them.
  ['::10.0.0.10', '::a00:a'],
  ['::10.0.0.10%eth0', '::a00:a'],
  ['::a00:a', '::a00:a'],
  ['::', '::'],
  ['::1', '::1'],
  ['64:ff9b::10.0.0.10', '64:ff9b::a00:a'],
  ['::ffff:0:10.0.0.10', '::ffff:0:a00:a'],
  ['::ffff:010.0.0.10', undefined],
  ['::ffff:0x0a.0.0.10', undefined],
  ['::ffff:10.0.10', undefined],
  ['::10.0.0.10:1', undefined],
  ['fd00::10', 'fd00::10'],
  ['FD00:0:0:0:0:0:0:10', 'fd00::10'],
  ['2001:DB8::1:0:0:1', '2001:db8::1:0:0:1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['fe80::f816:3eff:fe64:92e6%tap0', 'fe80::f816:3eff:fe64:92e6'],
  ['10.1', undefined],
  ['010.0.0.10', undefined],
  ['0x0a00000a', undefined],
  ['167772170', undefined],
  ['10.0.0.256', undefined],
  ['10.0.0.10 ', undefined],
  ['10.0.0.10,10.0.0.11', undefined],
  ['10.0.0.10:80', undefined],
  ['[fd00::10]', undefined],
  ['fe80::1%', undefined],
  ['%eth0', undefined],
  ['10.0.0.10%eth0', undefined],
  ['fd00::10/64', undefined],
  ['', undefined],
  [`${':'.repeat(63)}1`, undefined],
  ['1'.repeat(500), undefined],
]

t.test(
  'parseIpAddress() gives one text per address and refuses what is not exactly one',
  async (t) => {
    for (const [text, expected] of canonical) t.equal(parseIpAddress(text), expected, text)
    t.equal(parseIpAddress(undefined), undefined)
    t.equal(parseIpAddress(['10.0.0.10']), undefined)
  },
)

t.test('macFromEui64() reads a MAC only where the address has the mark of one', async (t) => {
  const cases = [
    ['fe80::5054:ff:fede:5bbf', '52:54:00:de:5b:bf'],
    ['fe80::f816:3eff:fe64:92e6', 'fa:16:3e:64:92:e6'],
    ['fe80::99', undefined],
    ['fe80::c8a3:1f6d:22c1:9e04', undefined],
    ['fd00::f816:3eff:fe64:92e6', undefined],
    ['10.0.0.10', undefined],
  ] as const
  for (const [text, mac] of cases) {
    const address = parseIpAddress(text)
    t.equal(address && macFromEui64(address), mac, text)
  }
})

t.test('eui64LinkLocal() makes the address that macFromEui64() reads', async (t) => {
  for (const [mac, address] of [
    ['fa:16:3e:64:92:e6', 'fe80::f816:3eff:fe64:92e6'],
    ['00:00:00:00:00:01', 'fe80::200:ff:fe00:1'],
  ] as const) {
    const parsed = parseMacAddress(mac)
    t.equal(parsed && eui64LinkLocal(parsed), address)
    t.equal(parsed && macFromEui64(eui64LinkLocal(parsed)), mac)
  }
})

t.test('isLinkLocalIpv6() covers fe80::/10 and nothing else', async (t) => {
  const cases = {
    'fe80::1': true,
    'febf::1': true,
    'fec0::1': false,
    'fd00::1': false,
    '169.254.1.1': false,
  }
  for (const [text, expected] of Object.entries(cases)) {
    const address = parseIpAddress(text)
    t.equal(address && isLinkLocalIpv6(address), expected, text)
  }
})

t.test('compileCidr() compares within one family', async (t) => {
  const ten = compileCidr('10.0.0.0/8')
  const inside = parseIpAddress('10.9.8.7')
  const outside = parseIpAddress('11.0.0.1')
  const other = parseIpAddress('fd00::1')
  t.ok(ten && inside && outside && other)
  if (!ten || !inside || !outside || !other) return
  t.equal(ten(inside), true)
  t.equal(ten(outside), false)
  t.equal(ten(other), false)
  t.equal(compileCidr('10.0.0.0/33'), undefined)
  t.equal(compileCidr('ten'), undefined)
})

t.test('parseCidr() gives what documents need of a subnet', async (t) => {
  const ipv4 = parseCidr('10.0.0.7/22')
  t.match(ipv4, { text: '10.0.0.0/22', netmask: '255.255.252.0', firstAddress: '10.0.0.1' })
  t.equal(ipv4?.ipv6, false)
  const ipv6 = parseCidr('FD00:0::/64')
  t.match(ipv6, { text: 'fd00::/64', netmask: 'ffff:ffff:ffff:ffff::', firstAddress: 'fd00::1' })
  t.equal(ipv6?.ipv6, true)
  for (const text of ['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '', 7, undefined]) {
    t.equal(parseCidr(text), undefined, String(text))
  }
})

t.test('ipAddressBytes() gives the octets in network order', async (t) => {
  t.same(ipAddressBytes(parseIpAddress('169.254.169.254')!), Uint8Array.from([169, 254, 169, 254]))
  t.same(
    Buffer.from(ipAddressBytes(parseIpAddress('fe80::a9fe:a9fe')!)).toString('hex'),
    'fe8000000000000000000000a9fea9fe',
  )
})
