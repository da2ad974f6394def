// SIGUSR1, which reopens the logs of many daemons, made Node open its debugger on a loopback port for every user of the host, and ended
// workers, which may start no thread. Right: it does nothing.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { requestAdmin } from '../../lib/http/admin-client.ts'
import { AgentProgram, agentSocketsIn } from '../support/agent-program.ts'
import { skipUnlessPrivileged } from '../support/netns.ts'
import { makeStage, openFolder, startProxyOn } from '../support/running-proxy.ts'

const signals = 5

function signal(pid: number): void {
  for (let count = 0; count < signals; count += 1) process.kill(pid, 'SIGUSR1')
}

if (skipUnlessPrivileged(t)) {
  t.test('SIGUSR1 to supervisor and workers', async (t) => {
    const proxy = await startProxyOn(t, await makeStage(t), { set: ['workers.count=2'] })
    const workers = async (): Promise<number[]> =>
      (await proxy.status()).workers.map(({ pid, state }) => (state === 'ready' ? pid : 0))
    await proxy.until('its workers', ({ workers }) =>
      workers.every(({ state }) => state === 'ready'),
    )
    const before = await workers()
    for (const pid of [proxy.pid, ...before]) signal(pid)
    // Each worker gives its figures, after the signals that came before.
    t.match(await proxy.metrics(), 'overlapd_proxy_')
    t.strictSame(await workers(), before)
    t.notMatch(proxy.log(), /debugger/i)
    await proxy.stop()
  })
}

t.test('SIGUSR1 to the agent', async (t) => {
  const folder = openFolder(t)
  const sockets = agentSocketsIn(folder)
  const file = join(folder, 'ports.json')
  const secretFile = join(folder, 'secret')
  writeFileSync(file, '{"ports":[]}')
  writeFileSync(secretFile, 's3cr3t', { mode: 0o600 })
  const agent = await AgentProgram.start({
    sockets,
    configFile: join(folder, 'agent.json'),
    config: {
      ports: { kind: 'static', static: { file } },
      compute: { upstreams: ['http://127.0.0.1:1'], shared_secret_file: secretFile },
    },
  })
  t.teardown(() => agent.stop())
  signal(agent.pid)
  t.match(await requestAdmin(sockets.admin, '/metrics'), { status: 200 })
  t.notMatch(agent.log, /debugger/i)
})
