// A worker was stopped (SIGSTOP) for 60 s: nobody noticed, and its share of the guests waited. Right: a worker that does not answer its
// supervisor is killed, counted and replaced.
import t from 'tap'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { startProxy } from '../support/running-proxy.ts'

if (skipUnlessPrivileged(t)) {
  t.test('a stopped worker is killed, counted and replaced', async (t) => {
    const proxy = await startProxy(t, 'workers.count=2')
    const before = (await proxy.status()).workers.map(({ pid }) => pid)
    process.kill(before[0]!, 'SIGSTOP')

    const { workers } = await proxy.until('another worker', ({ workers }) =>
      workers.every(({ pid, state }) => pid !== before[0] && state === 'ready'),
    )

    t.same(
      workers.map(({ restarts }) => restarts),
      [1, 0],
    )
    t.equal(workers[1]?.pid, before[1], 'the other one stays')
    t.throws(() => process.kill(before[0]!, 0), { code: 'ESRCH' })
    t.match(await proxy.metrics(), /overlapd_proxy_worker_breaches_total\{breach="silent"\} 1/)
    t.match(proxy.log(), /"breach":"silent"/)
  })
}
