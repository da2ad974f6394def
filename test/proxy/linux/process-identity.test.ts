import t from 'tap'
import { commandLineOf, startTimeOf } from '../../../proxy/linux/process-identity.ts'

t.test(
  'startTimeOf() stays the same for a process and is none for one that is not there',
  async (t) => {
    t.match(startTimeOf(process.pid), /^\d+$/)
    t.equal(startTimeOf(process.pid), startTimeOf(process.pid))
    t.equal(startTimeOf(0x7ffffff), undefined)
  },
)

t.test('commandLineOf() gives the words, and none for a process that is not there', async (t) => {
  t.match(commandLineOf(process.pid)[0], /node/)
  t.same(commandLineOf(0x7ffffff), [])
})
