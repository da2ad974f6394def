import t from 'tap'
import { linux } from '../../../lib/linux/libc.ts'
import { indexIn } from '../../../proxy/netns/ingress.ts'

/** One control message as the kernel writes it, padded to eight bytes. */
function message(level: number, type: number, data: readonly number[]): Buffer {
  const bytes = Buffer.alloc(16 + Math.ceil(data.length / 8) * 8)
  bytes.writeBigUInt64LE(BigInt(16 + data.length), 0)
  bytes.writeInt32LE(level, 8)
  bytes.writeInt32LE(type, 12)
  bytes.set(data, 16)
  return bytes
}

const ipv4 = message(linux.IPPROTO_IP, 8, [7, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1])
const hopLimit = message(linux.IPPROTO_IPV6, 52, [64, 0, 0, 0])

t.test('indexIn() finds the index of the interface, wherever the message stands', async (t) => {
  t.equal(indexIn(ipv4), 263)
  t.equal(indexIn(Buffer.concat([hopLimit, ipv4])), 263)
})

t.test('indexIn() gives 0 for what holds none', async (t) => {
  t.equal(indexIn(Buffer.alloc(0)), 0)
  t.equal(indexIn(hopLimit), 0)
  t.equal(indexIn(message(linux.IPPROTO_IPV6, 8, [7, 0, 0, 0])), 0, 'of the other protocol')
  for (let length = 0; length < 28; length += 1) {
    t.equal(indexIn(ipv4.subarray(0, length)), 0, `cut after ${length}`)
  }
  t.equal(indexIn(message(linux.IPPROTO_IP, 8, [])), 0, 'empty')
  t.equal(indexIn(Buffer.alloc(64)), 0, 'a length of nothing ends the search')
})
