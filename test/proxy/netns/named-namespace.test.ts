import t from 'tap'
import { whyNamesStayHere } from '../../../proxy/netns/named-namespace.ts'

const root = '27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw'
const run = '30 27 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw'

t.test('whyNamesStayHere() is content with mounts of the host', async (t) => {
  const netns = '42 30 0:25 /netns /run/netns rw shared:5 - tmpfs tmpfs rw'
  const named = '43 42 0:4 net:[4026532245] /run/netns/a rw shared:2 - nsfs nsfs rw'
  for (const lines of [[root], [root, run], [root, run, netns, named], []]) {
    t.equal(whyNamesStayHere('/run/netns', lines.join('\n')), undefined)
  }
})

t.test('whyNamesStayHere() sees that mounts arrive here and do not leave', async (t) => {
  const slave = '30 27 0:25 / /run rw,nosuid shared:90 master:5 - tmpfs tmpfs rw'
  const why = /do not reach the host/
  t.match(whyNamesStayHere('/run/netns', [root, slave].join('\n')), why)
  const own = '42 30 0:25 /netns /run/netns rw shared:7 master:6 - tmpfs tmpfs rw'
  t.match(whyNamesStayHere('/run/netns', [root, run, own].join('\n')), why)
})

t.test('whyNamesStayHere() looks at the folder and at no other', async (t) => {
  const beside = '50 30 0:9 / /run/netns-of-others rw master:8 - tmpfs tmpfs rw'
  const other = '51 27 0:9 / /var rw master:9 - tmpfs tmpfs rw'
  t.equal(whyNamesStayHere('/run/netns', [root, run, beside, other].join('\n')), undefined)
})
