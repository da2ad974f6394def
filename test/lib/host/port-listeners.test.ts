import { once } from 'node:events'
import { statSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { listenersIn, parseListeningRows } from '../../../lib/host/port-listeners.ts'

/** A table with a listener on 169.254.169.254:80, one on :9697, and a connection. */
const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: FEA9FEA9:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 345678 1 0000 100 0 0 10 0
   1: 00000000:25E1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 345679 1 0000 100 0 0 10 0
   2: FEA9FEA9:0050 0A00000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 345680 1 0000 20 4 30 10 -1
   3: FEA9FEA9:0050 0A0000`

t.test(
  'parseListeningRows() reads listeners and nothing else, also of a table that is cut',
  async (t) => {
    t.same(parseListeningRows(table), [
      { tcpPort: 80, inode: '345678' },
      { tcpPort: 9697, inode: '345679' },
    ])
    t.same(parseListeningRows(''), [])
  },
)

t.test('listenersIn() names who listens in a namespace', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { ino } = statSync('/proc/self/ns/net')
  t.match(listenersIn(ino, port), [new RegExp(`^${process.pid} `)])
  t.strictSame(listenersIn(1, port), [])
})
