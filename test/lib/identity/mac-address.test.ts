import t from 'tap'
import { macAddressFromBytes, parseMacAddress } from '../../../lib/identity/mac-address.ts'

t.test('parseMacAddress() gives one text for each address', async (t) => {
  for (const text of [
    'fa:16:3e:00:00:1a',
    'FA:16:3E:00:00:1A',
    'fa-16-3e-00-00-1a',
    'Fa-16-3e-00-00-1A',
  ]) {
    t.equal(parseMacAddress(text), 'fa:16:3e:00:00:1a', text)
  }
})

t.test('parseMacAddress() refuses everything else', async (t) => {
  const refused = [
    '',
    'fa:16:3e:00:00',
    'fa:16:3e:00:00:1a:00',
    'fa:16:3e:00:00:1g',
    'fa:16-3e:00:00:1a',
    'fa163e00001a',
    'fa16.3e00.001a',
    'f:16:3e:00:00:1a',
    ' fa:16:3e:00:00:1a',
    'fa:16:3e:00:00:1a\n',
    undefined,
    null,
    5,
    ['fa:16:3e:00:00:1a'],
  ]
  for (const text of refused) t.equal(parseMacAddress(text), undefined, JSON.stringify(text))
})

t.test('macAddressFromBytes() reads six octets at an offset', async (t) => {
  const bytes = Uint8Array.from([9, 9, 0xfa, 0x16, 0x3e, 0, 1, 0xff, 9])
  t.equal(macAddressFromBytes(bytes, 2), 'fa:16:3e:00:01:ff')
  t.equal(macAddressFromBytes(bytes), '09:09:fa:16:3e:00')
  t.throws(() => macAddressFromBytes(bytes, 4), RangeError)
  t.throws(() => macAddressFromBytes(new Uint8Array()), RangeError)
})

t.test('macAddressFromBytes() and parseMacAddress() agree on every octet', async (t) => {
  for (let octet = 0; octet < 256; octet += 1) {
    const text = macAddressFromBytes(Uint8Array.from([octet, 0, 0, 0, 0, octet]))
    if (parseMacAddress(text.toUpperCase()) !== text) t.fail(text)
  }
  t.pass('256 octets')
})
