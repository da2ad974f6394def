import t from 'tap'
import { holdersText, parseListeningRows } from '../../../proxy/netns/port-holder.ts'

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

t.test('holdersText() names few processes, and states when none can be seen', async (t) => {
  t.match(holdersText([]), /which cannot be seen from here/)
  const many = [1, 2, 3, 4].map((pid) => ({ pid, command: 'haproxy' }))
  t.equal(holdersText(many), 'another process listens there: 1, haproxy; 2, haproxy; 3, haproxy')
})
