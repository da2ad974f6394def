import t from 'tap'
import { readAddress } from '../../../proxy/netlink/addresses.ts'
import { readLink } from '../../../proxy/netlink/links.ts'
import { netlinkAttribute, netlinkAttributes } from '../../../proxy/netlink/netlink.ts'

function number(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value, 0)
  return netlinkAttribute(type, bytes)
}

function linkMessage(index: number, flags: number, attributes: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(index, 4)
  header.writeUInt32LE(flags, 8)
  return Buffer.concat([header, ...attributes])
}

t.test('readLink() reads what a veth is', async (t) => {
  const message = linkMessage(7, 0x1043, [
    netlinkAttribute(3, Buffer.from('tap00\0')),
    number(4, 1442),
    number(5, 2),
    netlinkAttribute(1, Buffer.from('fa163e000002', 'hex')),
    // The kernel marks nested attributes by a flag beside the type.
    netlinkAttribute(18 | 0x8000, netlinkAttribute(1, Buffer.from('veth\0'))),
  ])
  t.strictSame(readLink(message), {
    index: 7,
    name: 'tap00',
    isUp: true,
    mtu: 1442,
    macAddress: 'fa:16:3e:00:00:02',
    kind: 'veth',
    peerIndex: 2,
  })
})

t.test('readLink() distinguishes groups from none', async (t) => {
  const name = netlinkAttribute(3, Buffer.from('tap00\0'))
  t.match(readLink(linkMessage(7, 0, [name, number(27, 5)])), { group: 5 })
  t.equal(readLink(linkMessage(7, 0, [name, number(27, 0)]))?.group, undefined)
})

t.test('readLink() refuses what is cut short', async (t) => {
  t.equal(readLink(Buffer.alloc(8)), undefined)
  t.equal(readLink(linkMessage(7, 0, [])), undefined)
  const cut = linkMessage(7, 0, [netlinkAttribute(3, Buffer.from('tap00\0'))]).subarray(0, 20)
  t.equal(readLink(cut), undefined)
})

t.test('readAddress() reads both families and their flags', async (t) => {
  const v4 = Buffer.from([2, 24, 0, 0, 7, 0, 0, 0])
  const local = netlinkAttribute(2, Buffer.from([10, 0, 0, 2]))
  const peer = netlinkAttribute(1, Buffer.from([10, 0, 0, 9]))
  const wanted = { linkIndex: 7, prefix: 24, isDuplicate: false, isTentative: false }
  for (const attributes of [[local, peer], [peer, local], [local]]) {
    t.strictSame(readAddress(Buffer.concat([v4, ...attributes])), {
      ...wanted,
      address: '10.0.0.2',
    })
  }
  const v6 = Buffer.from([10, 128, 0, 0, 7, 0, 0, 0])
  const octets = netlinkAttribute(1, Buffer.from('fe8000000000000000000000a9fea9fe', 'hex'))
  t.match(readAddress(Buffer.concat([v6, octets, number(8, 0x48)])), {
    address: 'fe80::a9fe:a9fe',
    prefix: 128,
    isDuplicate: true,
    isTentative: true,
  })
  t.equal(readAddress(v6), undefined)
  t.equal(readAddress(Buffer.alloc(3)), undefined)
})

t.test('netlinkAttributes() ends at what is broken', async (t) => {
  const good = netlinkAttribute(1, Buffer.from([1]))
  for (const bad of [Buffer.from([3, 0, 1, 0]), Buffer.from([200, 0, 1, 0]), Buffer.from([4])]) {
    t.equal([...netlinkAttributes(Buffer.concat([good, bad]), 0)].length, 1)
  }
})
