import t from 'tap'
import { holdersText } from '../../../proxy/netns/port-holder.ts'

t.test('holdersText() names few processes, and states when none can be seen', async (t) => {
  t.match(holdersText([]), /which cannot be seen from here/)
  const many = [1, 2, 3, 4].map((pid) => ({ pid, command: 'haproxy' }))
  t.equal(holdersText(many), 'another process listens there: 1, haproxy; 2, haproxy; 3, haproxy')
})
