// Namespaces that were made again without end made the supervisor grow by 3 to 4.5 KB for each, outside of the JS heap. Right: a visit to a
// namespace leaves nothing behind. Whole days of churn are for `npm run test:soak`.
import { closeSync, readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { parseIpAddress } from '../../lib/identity/ip-address.ts'
import { listenIn } from '../../proxy/netns/listen-in.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { openWindow } from '../../proxy/netns/window.ts'
import { makeNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const visits = 4_000
/** A third of what was lost then. */
const mostKilobytes = visits

function residentKilobytes(): number {
  collectGarbage()
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}

if (skipUnlessPrivileged(t)) {
  t.test('visits to namespaces keep no memory', async (t) => {
    const window = await openWindow()
    t.teardown(() => window.close())
    const made = makeNamespaces(
      t,
      Array.from({ length: 2 }, () => ({
        netns: uniqueName(),
        interface: 'tap0',
        addresses: ['169.254.169.254/32', 'fe80::a9fe:a9fe/64'],
        guest: { addresses: ['10.0.0.10/24'] },
      })),
    )
    const wanted = ['169.254.169.254', 'fe80::a9fe:a9fe'].map((address) => ({
      address: parseIpAddress(address)!,
      tcpPort: 80,
    }))
    const visit = (times: number): number => {
      for (let time = 0; time < times; time += 1) {
        const handle = openNamespace(made[time % made.length]!.path)
        const { opened } = listenIn(window, handle, wanted, { backlog: 128, open: new Set() })
        for (const { fd } of opened) closeSync(fd)
        handle.close()
        if (opened.length !== wanted.length) t.fail('it was not listened on')
      }
      return residentKilobytes()
    }
    // The engine takes memory now and then; what is lost with each visit is lost every time.
    const grown: number[] = []
    let before = visit(1_000)
    while (grown.length < 5 && !grown.some((kilobytes) => kilobytes < mostKilobytes)) {
      const after = visit(visits)
      grown.push(after - before)
      before = after
    }
    t.comment(`${grown.join(', ')} KiB more after ${visits} visits`)
    t.ok(Math.min(...grown) < mostKilobytes)
  })
}
