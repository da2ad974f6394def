import t from 'tap'
import { netlinkMessage, readMessages } from '../../../proxy/netlink/netlink.ts'

const type = { error: 2, done: 3, any: 20 } as const

t.test('readMessages() visits messages until the list ends', async (t) => {
  const seen: number[] = []
  const visit = (kind: number): void => void seen.push(kind)
  const some = Buffer.concat([
    netlinkMessage(type.any, 0, Buffer.alloc(8)),
    netlinkMessage(type.any + 1, 0, Buffer.alloc(4)),
  ])
  t.equal(readMessages(some, visit), false)
  t.equal(readMessages(Buffer.from(netlinkMessage(type.done, 0, Buffer.alloc(4))), visit), true)
  t.strictSame(seen, [20, 21])
})

t.test('readMessages() reads neither errors nor what is no message', async (t) => {
  const tooLong = Buffer.from(netlinkMessage(type.any, 0, Buffer.alloc(8)))
  tooLong.writeUInt32LE(4096, 0)
  t.throws(() => readMessages(tooLong, () => undefined), { message: /impossible length/ })
  const refused = Buffer.from(netlinkMessage(type.error, 0, Buffer.alloc(4)))
  t.throws(() => readMessages(refused, () => undefined), { message: /refused/ })
})
