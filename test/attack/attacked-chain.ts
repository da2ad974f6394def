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
/** A guest gives up on a request after this. */
const guestPatience = 10_000

/** Who is whose, for a seat: every seat has one instance, which never changes. */
export function instanceOf(seat: Seat): string {
  return instanceId(numberOf(seat))
}

function numberOf({ router, addresses }: Seat): number {
  return router * 256 + Number(addresses[0]?.split('.')[3])
}

/** What differs from one class to the other. */
export interface ChainOptions {
  /** Where compute is. Absent: a recording one in this process, which knows every instance. */
  readonly computeUrl?: string
  /** @default 1 */
  readonly addressesPerGuest?: number
  /** Workers of the proxy. @default as many as it chooses */
  readonly workers?: number
  /** Listeners of the agent beside the one for the proxy. */
  readonly listeners?: readonly Readonly<Record<string, unknown>>[]
  /** More settings of the proxy, each as `key=value`. */
  readonly proxy?: readonly string[]
  /** More of the agent's section `compute`. */
  readonly compute?: Readonly<Record<string, unknown>>
}

/** A compute that checks signatures and answers with the instance it was asked for. */
export async function startCompute({ t }: AttackContext): Promise<RecordingUpstream> {
  const upstream = await RecordingUpstream.start(novaLike(secret))
  t.teardown(() => upstream.close())
  return upstream
}

export class AttackedChain {
  readonly seats: GuestSeats
  readonly proxy: RunningProxy
  readonly agent: AgentProgram
  readonly sockets: AgentSockets
  readonly folder: string
  readonly #context: AttackContext
  #workers: readonly number[] = []

  private constructor(
    context: AttackContext,
    parts: Pick<AttackedChain, 'seats' | 'proxy' | 'agent' | 'sockets' | 'folder'>,
  ) {
    this.#context = context
    this.seats = parts.seats
    this.proxy = parts.proxy
    this.agent = parts.agent
    this.sockets = parts.sockets
    this.folder = parts.folder
  }

  /** Two routers with two guests each, all served. */
  static async start(context: AttackContext, options: ChainOptions = {}): Promise<AttackedChain> {
    const { t, forwarding } = context
    const { addressesPerGuest = 1, workers = 0, listeners = [] } = options
    const seats = await GuestSeats.make(t, { routers, guestsPerRouter: 2, addressesPerGuest })
    const folder = openFolder(t)
    const computeUrl = options.computeUrl ?? (await startCompute(context)).url
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
        listeners: [
          { kind: 'overlapd', socket: sockets.agent, mode: '0600', user: 'nobody' },
          ...listeners,
        ],
        ports: { kind: 'static', static: { file } },
        source_mac: 'verify',
        compute: {
          upstreams: [computeUrl],
          shared_secret_file: join(folder, 'secret'),
          ...options.compute,
        },
        leases: {
          enabled: forwarding === 'direct',
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
      `agents=${JSON.stringify([sockets.agent])}`,
      'workers.user=nobody',
      `workers.count=${workers}`,
      'limits.timeout_drain=1s',
      ...(forwarding === 'direct' ? [`leases.socket=${sockets.lease}`] : []),
      ...(options.proxy ?? []),
    )
    seats.nameIn(proxy.netnsFolder)
    await proxy.until('both routers', ({ namespaces }) => {
      const served = namespaces.filter(
        ({ state, interception }) => state === 'serving' && interception === 'applied',
      )
      return served.length === routers
    })
    const chain = new AttackedChain(context, { seats, proxy, agent, sockets, folder })
    chain.#workers = await chain.workerPids()
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

  /** @returns how long the answer took, in milliseconds; `undefined` when it was not what it must be */
  async askAs(neighbour: Seat): Promise<number | undefined> {
    const { report } = this.#context
    report.othersTried()
    const begun = performance.now()
    const connection = this.seats.connect(neighbour)
    const late = setTimeout(() => connection.close(), guestPatience)
    void connection.write(get('/neighbour', 'Connection: close'))
    const answer = await connection.answer()
    clearTimeout(late)
    const took = performance.now() - begun
    connection.close()
    if (answer?.status !== 200) {
      const what = answer && `${answer.status} ${answer.field('x-overlapd-reason')}`
      report.fault('othersFailed', `${what ?? 'no answer'} for a guest beside the attack`)
    } else if (answer.body.toString() !== instanceOf(neighbour)) {
      report.fault('wrong', 'another instance was named to a guest beside the attack')
    } else {
      return took
    }
    return undefined
  }

  /** Counts what did not survive. */
  async checkProcesses(during: string): Promise<void> {
    const { report } = this.#context
    if (!this.agent.isRunning) report.fault('crashed', `the agent, during ${during}`)
    const now = await this.workerPids().catch(() => undefined)
    if (now === undefined) report.fault('crashed', `the supervisor, during ${during}`)
    else if (now.join() !== this.#workers.join()) {
      report.fault('crashed', `a worker, during ${during}`)
      this.#workers = now
    }
  }

  /** Ends both programs before the class ends, so that others can be started. */
  async stop(): Promise<void> {
    await this.proxy.stop()
    await this.agent.stop('SIGKILL')
  }

  async workerPids(): Promise<readonly number[]> {
    return (await this.proxy.status()).workers.map(({ pid }) => pid)
  }
}
