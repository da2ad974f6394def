// The agent was stopped (SIGSTOP) for 60 s: the proxy called itself ready throughout, and 570 requests got no answer. Right: it is noticed
// within 5 s and reported by name, guests get 503 before they give up, and the agent is asked again as soon as it answers.
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { requestAdmin } from '../../lib/http/admin-client.ts'
import type { HealthReport } from '../../lib/operator/health.ts'
import { agentSocketsIn, AgentProgram } from '../support/agent-program.ts'
import { fetchFrom, makeNamespaces, skipUnlessPrivileged, uniqueName } from '../support/netns.ts'
import { askRaw, get, RawConnection } from '../support/raw-http.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { openFolder, startProxyOn } from '../support/running-proxy.ts'
import { staticFileText } from '../support/static-file.ts'
import { networkIdentity, startWorker, testNetworkId } from '../support/start-worker.ts'
import { until } from '../support/until.ts'
import type { AgentReport } from '../../proxy/worker/shared/protocol.ts'
import { parseNetworkId } from '../../lib/identity/ids.ts'
import { instanceId, ip, mac, portId, projectId } from '../conformance/topology.ts'

async function startStoppable(t: Test, folder: string) {
  const network = parseNetworkId(testNetworkId)!
  const port = {
    portId: portId(1),
    networkId: network,
    macAddress: mac(1),
    fixedIps: [ip('127.0.0.1')],
    projectId: projectId(1),
    instanceId: instanceId(1),
    deviceOwner: 'compute:nova',
  }
  const networks = [{ networkId: network, projectId: projectId(1) }]
  writeFileSync(
    join(folder, 'ports.yaml'),
    staticFileText({ networks, routers: [], ports: [port] }),
  )
  writeFileSync(join(folder, 'secret'), 's3cr3t', { mode: 0o600 })
  const asked = new EventTarget()
  const compute = await RecordingUpstream.start(({ target }, response) => {
    if (target === '/slow') asked.dispatchEvent(new Event('slow'))
    else response.end('fast')
  })
  t.teardown(() => compute.close())
  const sockets = agentSocketsIn(folder)
  const agent = await AgentProgram.start({
    sockets,
    configFile: join(folder, 'agent.json'),
    config: {
      ports: { kind: 'static', static: { file: join(folder, 'ports.yaml') } },
      source_mac: 'off',
      compute: { upstreams: [compute.url], shared_secret_file: join(folder, 'secret') },
    },
  })
  t.teardown(() => agent.stop('SIGKILL'))
  return { agent, sockets, asked }
}

async function startChain(t: Test) {
  const { agent, sockets, asked } = await startStoppable(t, openFolder(t))
  const worker = await startWorker({
    agentSocket: sockets.agent,
    agent: { checksHealth: true, timeoutHeaders: 60_000 },
    identities: [networkIdentity],
  })
  t.teardown(() => worker.stop())
  const reported = async (state: AgentReport['state']): Promise<AgentReport> => {
    for (;;) {
      const report = (await worker.told('agents')).agents[0]
      if (report?.state === state) return report
    }
  }
  return { worker, sockets, asked, agent, reported }
}

t.test('a stopped agent is noticed, refused for, and queried again once it goes on', async (t) => {
  const { worker, sockets, asked, agent, reported } = await startChain(t)
  const isAsked = once(asked, 'slow')
  const waiting = await Promise.all([
    RawConnection.open(worker.target),
    RawConnection.open(worker.target),
  ])
  void waiting[0].write(get('/slow'))
  void waiting[1].write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
  await isAsked

  agent.signal('SIGSTOP')
  const began = performance.now()
  const report = await reported('down')
  t.comment(`noticed after ${Math.round(performance.now() - began)} ms`)

  t.match(report, { agent: sockets.agent, lastFailure: /^silent/ })
  for (const guest of waiting) {
    const answer = await guest.answer()
    t.equal(answer?.status, 503)
    t.equal(answer?.field('x-overlapd-reason'), 'agent_unreachable')
  }
  t.equal((await askRaw(worker.target, get('/new')))?.status, 503, 'a new one is refused at once')

  agent.signal('SIGCONT')
  await reported('up')
  t.equal((await askRaw(worker.target, get('/new')))?.status, 200)
})

t.test(
  'an agent that is busy for seconds is reported, and no guest is refused for it',
  async (t) => {
    const { worker, agent, reported } = await startChain(t)
    agent.signal('SIGSTOP')
    const before = askRaw(worker.target, get('/before'))
    await reported('down')
    const since = askRaw(worker.target, get('/since'))
    const body = askRaw(worker.target, 'POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
    agent.signal('SIGCONT')
    for (const answer of await Promise.all([before, since, body])) t.equal(answer?.status, 200)
    await reported('up')
  },
)

t.test('the proxy is not ready, names the agent, and is ready once it goes on', async (t) => {
  if (!skipUnlessPrivileged(t)) return
  const folder = openFolder(t)
  const stage = { folder, netnsFolder: join(folder, 'netns') }
  mkdirSync(stage.netnsFolder)
  const { agent, sockets } = await startStoppable(t, folder)
  const [made] = makeNamespaces(t, [
    {
      netns: uniqueName(),
      addresses: ['10.0.0.1/24'],
      guest: { addresses: ['10.0.0.10/24'], via: ['10.0.0.1'] },
    },
  ])
  const proxy = await startProxyOn(t, stage)
  symlinkSync(made!.path, join(stage.netnsFolder, `qrouter-${randomUUID()}`))
  await proxy.until('the router', ({ namespaces: [namespace] }) => {
    return namespace?.state === 'serving' && namespace.interception === 'applied'
  })
  const ready = async (): Promise<number> =>
    (await requestAdmin(proxy.adminSocket, '/ready')).status
  await until(async () => (await ready()) === 200, 50)

  agent.signal('SIGSTOP')
  await until(async () => (await ready()) === 503, 50)

  const { body } = await requestAdmin(proxy.adminSocket, '/ready')
  const { problems } = JSON.parse(body) as HealthReport
  t.match(problems[0], { part: 'agents', code: 'no_agent', what: sockets.agent })
  t.notMatch(body, /nft|conntrack/, 'the way of packets is as good as before')
  const { stdout } = await fetchFrom(made!.guest!, '/latest')
  t.match(stdout, /^HTTP\/1\.1 503 [^]*agent_unreachable/)

  agent.signal('SIGCONT')
  await until(async () => (await ready()) === 200, 50)
})
