// On a busy machine "overlapd-proxy adopt" failed with "lives in another namespace than recorded": nsenter had started and not entered yet
// when the proxy looked at the process. Right: the proxy is queried once the process is inside.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { whenInside } from '../../proxy/haproxy-shim/attach-waiting.ts'
import { openNamespace } from '../../proxy/netns/namespace-handle.ts'
import { makeEmptyNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'

if (skipUnlessPrivileged(t)) {
  t.test('a process that enters its namespace late is waited for', async (t) => {
    const netns = uniqueName()
    makeEmptyNamespaces(t, [netns])
    const handle = openNamespace(`/run/netns/${netns}`)
    t.teardown(() => handle.close())
    const script = `read now; exec nsenter --net=/run/netns/${netns} sh -c 'echo inside; read never'`
    const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
    t.teardown(() => child.kill('SIGKILL'))
    await once(child, 'spawn')
    const place = { pid: child.pid ?? 0, namespace: handle.key }
    let looks = 0

    await whenInside(place, {
      sleep: async () => {
        looks += 1
        child.stdin.write('now\n')
        await once(child.stdout, 'data')
      },
    })

    t.equal(looks, 1)
  })

  t.test('one that never enters is not waited for without end', async (t) => {
    const netns = uniqueName()
    makeEmptyNamespaces(t, [netns])
    const handle = openNamespace(`/run/netns/${netns}`)
    t.teardown(() => handle.close())
    const place = { pid: process.pid, namespace: handle.key }
    await t.rejects(
      whenInside(place, { sleep: async () => undefined }),
      /does not enter its namespace/,
    )
  })
}
