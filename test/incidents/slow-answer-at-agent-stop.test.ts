// A slow answer of compute was under way at the agent's SIGTERM: the agent stopped accepting and waited up to 10 s for it, longer than
// workers wait for an agent, so guests got 503. Right: it serves everybody until the slow answer is out; nobody loses a request.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { agentSocketsIn, AgentProgram } from '../support/agent-program.ts'
import { askRaw, get, RawConnection, type RawAnswer } from '../support/raw-http.ts'
import { RecordingUpstream } from '../support/recording-upstream.ts'
import { scratchFolder } from '../support/scratch-folder.ts'
import { staticFileText } from '../support/static-file.ts'
import { networkIdentity, startWorker, testNetworkId } from '../support/start-worker.ts'
import { parseNetworkId } from '../../lib/identity/ids.ts'
import { instanceId, ip, mac, portId, projectId } from '../conformance/topology.ts'

async function startChain(t: Test) {
  const folder = scratchFolder(t)
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
  const topology = { networks, routers: [], ports: [port] }
  writeFileSync(join(folder, 'ports.yaml'), staticFileText(topology))
  writeFileSync(join(folder, 'secret'), 's3cr3t', { mode: 0o600 })
  const asked = new EventTarget()
  const slow = {
    letGo: (): void => undefined,
    letGoPost: (): void => undefined,
    asked: once(asked, 'GET'),
    posted: once(asked, 'POST'),
  }
  const compute = await RecordingUpstream.start(({ target, method }, response) => {
    if (target !== '/slow') {
      response.end('fast')
      return
    }
    slow[method === 'GET' ? 'letGo' : 'letGoPost'] = () => void response.end('slow')
    asked.dispatchEvent(new Event(method))
  })
  t.teardown(() => compute.close())
  const sockets = agentSocketsIn(folder)
  const options = {
    sockets,
    configFile: join(folder, 'agent.json'),
    config: {
      ports: { kind: 'static', static: { file: join(folder, 'ports.yaml') } },
      source_mac: 'off',
      compute: { upstreams: [compute.url], shared_secret_file: join(folder, 'secret') },
      limits: { timeout_drain: '1m' },
    },
  }
  const agents = [await AgentProgram.start(options)]
  t.teardown(() => Promise.all(agents.map((agent) => agent.stop('SIGKILL'))))
  const worker = await startWorker({
    agentSocket: sockets.agent,
    // A busy machine may take long to start the next agent.
    agent: { timeoutConnect: 60_000 },
    identities: [networkIdentity],
  })
  t.teardown(() => worker.stop())
  const next = (): AgentProgram => {
    const agent = AgentProgram.spawn(options)
    agents.push(agent)
    return agent
  }
  return { worker, sockets, slow, agent: agents[0]!, next }
}

/** Guests that ask again and again on new connections. */
class Load {
  count = 0
  readonly lost: string[] = []
  readonly #guests: readonly Promise<void>[]
  #isOver = false
  readonly #answered: (() => void)[] = []

  constructor(ask: () => Promise<RawAnswer | undefined>) {
    const guest = async (): Promise<void> => {
      while (!this.#isOver) {
        const answer = await ask()
        this.count += 1
        if (answer?.status !== 200) this.lost.push(answer?.body.toString() ?? 'no answer')
        for (const resume of this.#answered.splice(0)) resume()
      }
    }
    this.#guests = Array.from({ length: 4 }, guest)
  }

  /** So many more answers have come. */
  async more(count: number): Promise<void> {
    const wanted = this.count + count
    while (this.count < wanted) {
      await new Promise<void>((resolve) => this.#answered.push(resolve))
    }
  }

  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#guests)
  }
}

for (const [what, startsBefore] of [
  ['after the end of the one before, as systemd does', false],
  ['before the end of the one before', true],
] as const) {
  t.test(`the next agent starts ${what}`, async (t) => {
    const { worker, sockets, slow, agent, next } = await startChain(t)
    const guest = await RawConnection.open(worker.target)
    void guest.write(get('/slow'))
    await slow.asked
    const load = new Load(() => askRaw(worker.target, get('/fast')))
    await load.more(10)

    const stopped = agent.stop()
    await load.more(20)
    const early = startsBefore ? next() : undefined
    await load.more(20)
    t.ok(agent.isRunning, 'guests are answered while the slow answer is waited for')
    slow.letGo()
    t.equal((await guest.answer())?.body.toString(), 'slow')
    await stopped
    await (early ?? next()).untilReady(sockets)
    await load.more(20)
    await load.end()

    t.same(load.lost, [], 'nothing is lost')
  })
}

t.test(
  'a slow request that is sent once, and comes while the agent stops, is answered',
  async (t) => {
    const { worker, sockets, slow, agent, next } = await startChain(t)
    const guest = await RawConnection.open(worker.target)
    void guest.write(get('/slow'))
    await slow.asked
    const load = new Load(() => askRaw(worker.target, get('/fast')))
    await load.more(10)
    const stopped = agent.stop()
    await load.more(20)
    const poster = await RawConnection.open(worker.target)
    void poster.write('POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi')
    await slow.posted
    slow.letGo()
    t.equal((await guest.answer())?.body.toString(), 'slow')
    await load.more(20)
    t.ok(agent.isRunning, 'guests are answered while it is waited for')
    slow.letGoPost()
    t.equal((await poster.answer())?.body.toString(), 'slow')
    await stopped
    await next().untilReady(sockets)
    await load.more(20)
    await load.end()
    t.same(load.lost, [], 'nothing is lost')
  },
)
