/** The real proxy and the real agent with guests before them and a recording compute behind, while somebody attacks them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { instanceId, ip, networkId, portId, projectId } from '../conformance/topology.ts'
import { AgentProgram, agentSocketsIn, type AgentSockets } from '../support/agent-program.ts'
import { get } from '../support/raw-http.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import { openFolder, startProxy, type RunningProxy } from '../support/running-proxy.ts'
import { staticFileText } from '../support/static-file.ts'
import type { AttackContext } from './attack-class.ts'
import { emptyTopology, GuestSeats, type Seat } from './guest-seats.ts'

const secret = 's3cr3t'
const routers = 2

/** Who is whose, for a seat: every seat has one instance, which never changes. */
export function instanceOf(seat: Seat): string {
  return instanceId(numberOf(seat))
}

function numberOf({ router, addresses }: Seat): number {
  return router * 256 + Number(addresses[0]?.split('.')[3])
}

export class AttackedChain {
  readonly seats: GuestSeats
  readonly upstream: RecordingUpstream
  readonly proxy: RunningProxy
  readonly agent: AgentProgram
  readonly sockets: AgentSockets
  readonly folder: string
  readonly #context: AttackContext
  #workers: readonly number[] = []

  private constructor(
    context: AttackContext,
    parts: Pick<AttackedChain, 'seats' | 'upstream' | 'proxy' | 'agent' | 'sockets' | 'folder'>,
  ) {
    this.#context = context
    this.seats = parts.seats
    this.upstream = parts.upstream
    this.proxy = parts.proxy
    this.agent = parts.agent
    this.sockets = parts.sockets
    this.folder = parts.folder
  }

  /** Two routers with two guests each, all served. */
  static async start(context: AttackContext): Promise<AttackedChain> {
    const { t, forwarding } = context
    const seats = await GuestSeats.make(t, { routers, guestsPerRouter: 2, addressesPerGuest: 1 })
    const folder = openFolder(t)
    const upstream = await RecordingUpstream.start(novaLike(secret))
    t.teardown(() => upstream.close())
    writeFileSync(join(folder, 'secret'), secret, { mode: 0o600 })
    const ports = seats.all.map((seat) => ({
      portId: portId(numberOf(seat)),
      networkId: networkId(seat.router),
      macAddress: seat.macAddress,
      fixedIps: seat.addresses.map(ip),
      projectId: projectId(seat.router),
      instanceId: instanceId(numberOf(seat)),
      deviceOwner: 'compute:nova',
    }))
    const file = join(folder, 'ports.json')
    writeFileSync(file, staticFileText({ ...emptyTopology(routers), ports }))
    const sockets = agentSocketsIn(folder)
    const agent = await AgentProgram.start({
      sockets,
      configFile: join(folder, 'agent.json'),
      config: {
        listeners: [{ kind: 'overlapd', socket: sockets.agent, mode: '0600', user: 'nobody' }],
        ports: { kind: 'static', static: { file } },
        source_mac: 'verify',
        compute: { upstreams: [upstream.url], shared_secret_file: join(folder, 'secret') },
        forwarding: {
          leases: forwarding === 'direct',
          socket: sockets.lease,
          mode: '0600',
          user: 'nobody',
        },
        limits: { timeout_drain: '1s' },
      },
    })
    t.teardown(() => agent.stop('SIGKILL'))
    const proxy = await startProxy(
      t,
      `agent.socket=${sockets.agent}`,
      'workers.user=nobody',
      'timeout_drain=1s',
      ...(forwarding === 'direct' ? [`forwarding.lease_socket=${sockets.lease}`] : []),
    )
    seats.nameIn(proxy.netnsFolder)
    await proxy.until('both routers', ({ namespaces }) => {
      const served = namespaces.filter(
        ({ state, interception }) => state === 'serving' && interception === 'applied',
      )
      return served.length === routers
    })
    const chain = new AttackedChain(context, { seats, upstream, proxy, agent, sockets, folder })
    chain.#workers = await chain.#workerPids()
    return chain
  }

  /** Asks as guests who do nothing wrong until the time is over. Each must be answered with their own instance. */
  async watch(neighbours: readonly Seat[]): Promise<void> {
    const { report, random } = this.#context
    while (!this.#context.isOver()) {
      await this.askAs(random.pick(neighbours))
      await pause(30)
    }
    report.measured('requests of others', report.value.othersTried)
  }

  async askAs(neighbour: Seat): Promise<void> {
    const { report } = this.#context
    report.othersTried()
    const connection = this.seats.connect(neighbour)
    void connection.write(get('/neighbour', 'Connection: close'))
    const answer = await connection.answer()
    connection.close()
    if (answer?.status !== 200) {
      report.fault('othersFailed', `${answer?.status ?? 'no answer'} for a guest beside the attack`)
    } else if (answer.body.toString() !== instanceOf(neighbour)) {
      report.fault('wrong', 'another instance was named to a guest beside the attack')
    }
  }

  /** Counts what did not survive. */
  async checkProcesses(during: string): Promise<void> {
    const { report } = this.#context
    if (!this.agent.isRunning) report.fault('crashed', `the agent, during ${during}`)
    const now = await this.#workerPids().catch(() => undefined)
    if (now === undefined) report.fault('crashed', `the supervisor, during ${during}`)
    else if (now.join() !== this.#workers.join()) {
      report.fault('crashed', `a worker, during ${during}`)
      this.#workers = now
    }
  }

  async #workerPids(): Promise<readonly number[]> {
    return (await this.proxy.status()).workers.map(({ pid }) => pid)
  }
}
