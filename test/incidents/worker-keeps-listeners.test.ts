// A worker of a supervisor that had died kept its listeners: EADDRINUSE in every namespace until somebody killed it. Right: the next
// supervisor kills it, knows it by its start time, and serves within 15 s.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { makeRoutersWithGuests } from '../support/routers-with-guests.ts'
import { makeStage, startProxyOn } from '../support/running-proxy.ts'

const keeper =
  'import socket; s = socket.create_server(("::", 9697), family=socket.AF_INET6, dualstack_ipv6=True); print("listens", flush=True); input()'

function startTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
}

if (skipUnlessPrivileged(t)) {
  t.test(
    'a worker that is left and listens is killed, a stranger of its number is not',
    async (t) => {
      const stage = await makeStage(t)
      const [router] = await makeRoutersWithGuests(t, stage.netnsFolder, 1)
      const left = spawn('ip', ['netns', 'exec', router!.netns, 'python3', '-c', keeper], {
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' })
      t.teardown(() => {
        left.kill('SIGKILL')
        stranger.kill('SIGKILL')
      })
      await once(left.stdout, 'data')
      const record = [
        { pid: left.pid!, startTime: startTime(left.pid!) },
        { pid: stranger.pid!, startTime: startTime(stranger.pid!) - 1 },
      ]
      writeFileSync(join(stage.folder, 'admin.sock.workers'), JSON.stringify(record))
      const ended = once(left, 'exit')

      const proxy = await startProxyOn(t, stage)
      await ended
      const began = Date.now()
      await proxy.until('serving', ({ namespaces }) =>
        namespaces.some(({ state }) => state === 'serving'),
      )
      t.comment(`serving ${Date.now() - began} ms after the end of the worker`)

      t.equal(stranger.exitCode ?? stranger.signalCode, null, 'the stranger lives')
      t.match(await proxy.metrics(), /overlapd_proxy_worker_breaches_total\{breach="stayed"\} 1/)
      t.match(proxy.log(), /Killed workers of the supervisor before/)
    },
  )
}
