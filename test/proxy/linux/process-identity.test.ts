import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import {
  commandLineOf,
  descriptorsOf,
  procLink,
  startTimeOf,
} from '../../../proxy/linux/process-identity.ts'

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

t.test(
  'descriptorsOf() names what each descriptor is, and procLink() nothing that is gone',
  async (t) => {
    const server = createServer().listen(0, '127.0.0.1')
    t.teardown(() => server.close())
    await once(server, 'listening')
    const sockets = descriptorsOf(process.pid).filter(([, link]) => /^socket:\[\d+\]$/.test(link))
    t.ok(sockets.length > 0)
    const [[fd, link] = [-1, '']] = sockets
    t.equal(procLink(`/proc/self/fd/${fd}`), link)
    t.equal(procLink('/proc/self/fd/1000000'), undefined)
    t.throws(() => descriptorsOf(2 ** 22 + 1), { code: 'ENOENT' })
  },
)
