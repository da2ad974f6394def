import t from 'tap'
import {
  parseAddressMessages,
  type InterfaceAddress,
} from '../../../proxy/netns/interface-addresses.ts'

const octets = Uint8Array.from(Buffer.from('fe8000000000000000000000a9fea9fe', 'hex'))

function attribute(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  bytes.writeUInt16LE(4 + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  bytes.set(value, 4)
  return bytes
}

function message(type: number, index: number, attributes: readonly Buffer[] = []): Buffer {
  const body = Buffer.concat([Buffer.alloc(8), ...attributes])
  body.writeUInt8(10, 0)
  body.writeUInt32LE(index, 4)
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + body.length, 0)
  header.writeUInt16LE(type, 4)
  return Buffer.concat([header, body])
}

const dadFailed = Buffer.from([0x88, 0, 0, 0])

t.test('parseAddressMessages() reads addresses until the dump ends', async (t) => {
  const found: InterfaceAddress[] = []
  const first = Buffer.concat([
    message(20, 7, [attribute(1, octets)]),
    message(16, 1),
    message(20, 8, [attribute(8, dadFailed), attribute(1, octets)]),
  ])
  t.equal(parseAddressMessages(first, found), false)
  t.equal(parseAddressMessages(message(3, 0), found), true)
  t.same(found, [
    { interfaceIndex: 7, octets, duplicate: false },
    { interfaceIndex: 8, octets, duplicate: true },
  ])
})

t.test('parseAddressMessages() leaves out what is cut or malformed', async (t) => {
  const cut = message(20, 7, [attribute(1, octets)])
  cut.writeUInt16LE(200, 16 + 8)
  const found: InterfaceAddress[] = []
  parseAddressMessages(Buffer.concat([cut, message(20, 9)]), found)
  t.same(found, [])
  const tooLong = message(20, 7, [attribute(1, octets)])
  tooLong.writeUInt32LE(4096, 0)
  t.throws(() => parseAddressMessages(tooLong, []), { message: /impossible length/ })
  t.throws(() => parseAddressMessages(message(2, 0), []), { message: /refused/ })
})
