import t from 'tap'
import {
  arrivalOfSyn,
  sourceIpv4OfSyn,
  sourceMacOfSyn,
} from '../../../../proxy/worker/guest/source-mac.ts'

/** A SYN as the kernel saves it: Ethernet, IPv4 without options, TCP with 20 bytes of options. */
function syn4(change: (frame: Buffer) => void = () => undefined): Buffer {
  const frame = Buffer.alloc(74)
  frame.set([0xfa, 0x16, 0x3e, 0, 0, 1], 0)
  frame.set([0xfa, 0x16, 0x3e, 0xaa, 0xbb, 0x0c], 6)
  frame.set([0x08, 0x00, 0x45], 12)
  frame[14 + 20 + 12] = 0xa0
  change(frame)
  return frame
}

function syn6(): Buffer {
  const frame = Buffer.alloc(14 + 40 + 40)
  frame.set([0xfa, 0x16, 0x3e, 0xaa, 0xbb, 0x0c], 6)
  frame.set([0x86, 0xdd, 0x60], 12)
  return frame
}

t.test('sourceMacOfSyn() reads the sender of an IPv4 and of an IPv6 frame', async (t) => {
  t.equal(sourceMacOfSyn(syn4()), 'fa:16:3e:aa:bb:0c')
  t.equal(sourceMacOfSyn(syn6()), 'fa:16:3e:aa:bb:0c')
})

t.test('sourceIpv4OfSyn() reads the address of an IPv4 frame, and of no other', async (t) => {
  const from = (octets: readonly number[]) => syn4((frame) => frame.set(octets, 26))
  t.equal(sourceIpv4OfSyn(from([10, 0, 0, 10])), '10.0.0.10')
  t.equal(sourceIpv4OfSyn(from([255, 0, 1, 0])), '255.0.1.0')
  t.equal(sourceIpv4OfSyn(syn6()), undefined)
})

t.test('arrivalOfSyn() reads hop limit and port of both families', async (t) => {
  const four = syn4((frame) => {
    frame[22] = 63
    frame.writeUInt16BE(51_234, 14 + 20)
  })
  t.strictSame(arrivalOfSyn(four), { hopLimit: 63, sourcePort: 51_234 })
  // With IP options the TCP header begins later.
  const withOptions = Buffer.concat([four.subarray(0, 34), Buffer.alloc(4), four.subarray(34)])
  withOptions[14] = 0x46
  t.strictSame(arrivalOfSyn(withOptions), { hopLimit: 63, sourcePort: 51_234 })
  const six = syn6()
  six[20] = 6
  six[21] = 255
  six.writeUInt16BE(1_023, 14 + 40)
  t.strictSame(arrivalOfSyn(six), { hopLimit: 255, sourcePort: 1_023 })
})

t.test('arrivalOfSyn() gives no port behind extension headers', async (t) => {
  const frame = syn6()
  frame[20] = 0
  frame[21] = 64
  t.strictSame(arrivalOfSyn(frame), { hopLimit: 64, sourcePort: 0 })
})

const nobody: readonly (readonly [what: string, frame: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['a frame cut short', syn4().subarray(0, 40)],
  ['an address of zeros, as on loopback', syn4((frame) => frame.fill(0, 6, 12))],
  ['a group address', syn4((frame) => frame.set([0x01], 6))],
  ['another protocol', syn4((frame) => frame.set([0x08, 0x06], 12))],
  ['an IP version that is not the one announced', syn4((frame) => frame.set([0x65], 14))],
  ['lengths that do not add up', syn4((frame) => frame.set([0x50], 14 + 20 + 12))],
  ['IP options that lead past the end', syn4((frame) => frame.set([0x4f], 14))],
  ['headers that begin with IP', syn4().subarray(14)],
  ['headers that begin with IP, from 8.0.69.0', ipFrom([8, 0, 0x45, 0])],
]
/** The address is there, only the sender's hardware is not. */
const hasAddress = ['an address of zeros, as on loopback', 'a group address']
for (const [what, frame] of nobody) {
  t.test(`sourceMacOfSyn() names no MAC for ${what}`, async (t) => {
    t.equal(sourceMacOfSyn(frame), undefined)
    if (hasAddress.includes(what)) return
    t.equal(sourceIpv4OfSyn(frame), undefined)
    t.equal(arrivalOfSyn(frame), undefined)
  })
}

/** A device without Ethernet, whose source address stands where an Ethernet frame says what it carries. */
function ipFrom(source: readonly number[]): Buffer {
  const headers = Buffer.alloc(60)
  headers[0] = 0x45
  headers.set(source, 12)
  headers[20 + 12] = 0xa0
  return headers
}
