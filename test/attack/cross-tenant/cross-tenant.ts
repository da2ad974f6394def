import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import {
  instanceId,
  ip,
  networkId,
  portId,
  projectId,
  type TopologyPort,
} from '../../conformance/topology.ts'
import {
  AgentProgram,
  agentSocketsIn,
  type AgentProgramOptions,
} from '../../support/agent-program.ts'
import { novaLike, RecordingUpstream } from '../../support/recording-upstream.ts'
import { get, type RawAnswer } from '../../support/raw-http.ts'
import { openFolder, startProxy, type RunningProxy } from '../../support/running-proxy.ts'
import type { AttackClass, AttackContext } from '../attack-class.ts'
import { GuestSeats, type Seat } from '../guest-seats.ts'
import { openClouds, type Cloud } from './cloud.ts'
import { Ownerships, type Place } from './ownership.ts'
import { Pace } from './pace.ts'

const routers = 5
const lanes = 12
/** Of a hundred requests, so many are followed by a rest: connections must be old at a change as well as new. */
const rest = 5
const secret = 's3cr3t'
/** Between two changes of the cloud. */
const restBetweenChanges = 1_500
/** One directory and one policy. */
const episodeLength = 25_000
/** A change that the agent has not heard of by then is a fault of its own, on a machine however busy. */
const longestNews = 60_000
/** A worker may use a lease for so long without a word from its agent: agent-side/leases/README.md. */
const leaseBound = 3_000

/** Random topologies with churn, kills and restarts: whatever a guest is answered is of an instance that had its place. */
export const crossTenant: AttackClass = {
  name: 'cross-tenant',
  what: 'ports move and are reused, agent and workers are killed: nobody gets what is not theirs',
  needsRoot: true,
  share: 3,
  async run(context) {
    const { t, random } = context
    const seats = await GuestSeats.make(t, { routers, guestsPerRouter: 3, addressesPerGuest: 3 })
    const folder = openFolder(t)
    const upstream = await RecordingUpstream.start(novaLike(secret))
    t.teardown(() => upstream.close())
    writeFileSync(join(folder, 'secret'), secret, { mode: 0o600 })
    const clouds = openClouds(t, folder)
    const sockets = agentSocketsIn(folder)
    const proxy = await startProxy(
      t,
      `agents=${JSON.stringify([sockets.agent])}`,
      'limits.timeout_drain=1s',
      ...(context.forwarding === 'direct' ? [`leases.socket=${sockets.lease}`] : []),
    )
    seats.nameIn(proxy.netnsFolder)
    await proxy.until(`${routers} routers`, ({ namespaces }) => {
      const served = namespaces.filter(
        ({ state, interception }) => state === 'serving' && interception === 'applied',
      )
      return served.length === routers
    })
    let numbers = 0x10_0000
    const paces = new Map<string, Pace>()
    context.begin()
    for (let index = 0; !context.isOver(); index += 1) {
      const cloud = await clouds[index % clouds.length]?.()
      if (cloud === undefined) return
      const policy = random.pick(['verify', 'verify', 'prefer'] as const)
      const leases = context.forwarding === 'direct' && random.chance(75)
      const scene = leases ? `${cloud.kind} with leases` : cloud.kind
      const pace = paces.get(scene) ?? new Pace()
      paces.set(scene, pace)
      const episode = new Episode(context, { seats, cloud, proxy, numbers, pace })
      const startAgent = (): AgentProgramOptions => ({
        sockets,
        configFile: join(folder, 'agent.json'),
        config: {
          ports: cloud.ports,
          source_mac: policy,
          compute: { upstreams: [upstream.url], shared_secret_file: join(folder, 'secret') },
          leases: { enabled: leases, socket: sockets.lease, mode: '0600', user: 'nobody' },
          limits: { timeout_drain: '1s' },
        },
      })
      await episode.run(startAgent())
      numbers = episode.nextNumber
      upstream.requests.length = 0
      context.report.count(`episodes on ${scene}`)
      context.report.measured(`answers on ${scene}`, pace.text)
      if (leases) context.report.measured('went straight', await wentStraight(proxy))
    }
  },
}

interface Scene {
  readonly seats: GuestSeats
  readonly cloud: Cloud
  readonly proxy: RunningProxy
  readonly numbers: number
  readonly pace: Pace
}

/** One agent configuration for a while, with everything that happens to it. */
class Episode {
  readonly #context: AttackContext
  readonly #scene: Scene
  readonly #owners: Ownerships
  /** Its instance is the number of the latest change that the agent has heard of. */
  readonly #marker: Seat
  readonly #end: number
  #agent: AgentProgram | undefined
  #change = 0
  /** Everything ran and nothing was killed since then. */
  #quietSince = Number.POSITIVE_INFINITY
  #isOver = false
  #tried = 0

  constructor(context: AttackContext, scene: Scene) {
    this.#context = context
    this.#scene = scene
    const [marker, ...seats] = scene.seats.all
    if (marker === undefined) throw new Error('There are no seats')
    this.#marker = marker
    this.#owners = new Ownerships(context.random, routers, seats, scene.numbers)
    this.#end = Math.min(performance.now() + episodeLength, context.deadline)
  }

  get nextNumber(): number {
    return this.#owners.nextNumber
  }

  async run(options: AgentProgramOptions): Promise<void> {
    this.#tellCloud()
    this.#agent = await AgentProgram.start(options)
    try {
      await this.#untilHeard()
      this.#quietSince = performance.now()
      const running = [
        ...Array.from({ length: lanes }, () => this.#ask()),
        this.#churn(),
        this.#disturb(options),
      ]
      const { pace } = this.#scene
      await pace.during(() => Promise.all(running)).finally(() => (this.#isOver = true))
    } finally {
      this.#isOver = true
      await this.#agent.stop('SIGKILL')
    }
  }

  get #goesOn(): boolean {
    return !this.#isOver && (performance.now() < this.#end || this.#tried === 0)
  }

  async #churn(): Promise<void> {
    while (this.#goesOn) {
      this.#owners.change()
      this.#tellCloud()
      this.#context.report.count('changes')
      await this.#untilHeard()
      await pause(this.#context.random.below(restBetweenChanges))
    }
  }

  #tellCloud(): void {
    this.#change += 1
    const [address = ''] = this.#marker.addresses
    const marker: TopologyPort = {
      portId: portId(this.#marker.router),
      networkId: networkId(this.#marker.router),
      macAddress: this.#marker.macAddress,
      fixedIps: [ip(address)],
      projectId: projectId(1),
      instanceId: instanceId(this.#change),
      deviceOwner: 'compute:nova',
    }
    this.#scene.cloud.set(this.#owners.topology([marker]))
  }

  /** Asks as the marker until it is answered under the latest change. */
  async #untilHeard(): Promise<void> {
    const begun = performance.now()
    while (performance.now() - begun < longestNews) {
      const answer = await this.#askOnce({
        seat: this.#marker,
        address: this.#marker.addresses[0] ?? '',
      })
      if (answer?.status === 200 && answer.body.toString() === instanceId(this.#change)) {
        const bound = this.#context.forwarding === 'direct' ? leaseBound : 0
        this.#owners.confirmed(performance.now() + bound)
        if (this.#quietSince < begun) this.#scene.pace.heard(performance.now() - begun)
        return
      }
      if (this.#isOver) return
      await pause(20)
    }
    const { kind } = this.#scene.cloud
    this.#context.report.fault(
      'wrong',
      `${kind}: a change was not heard of in ${longestNews / 1_000} s`,
    )
    this.#isOver = true
  }

  /** A guest who asks from random places, on one connection for a while. */
  async #ask(): Promise<void> {
    const { random } = this.#context
    while (this.#goesOn) {
      const place = random.pick(this.#owners.places)
      const connection = this.#scene.seats.connect(place.seat, place.address)
      for (let count = 1 + random.below(6); count > 0 && this.#goesOn; count -= 1) {
        const begun = performance.now()
        void connection.write(get('/latest/meta-data/instance-id'))
        const answer = await withinPatience(connection.answer())
        this.#judge(place, begun, answer?.status, answer?.body.toString())
        if (answer === undefined || answer.field('connection') === 'close') break
        if (random.chance(rest)) await pause(random.below(300))
      }
      connection.close()
    }
  }

  async #askOnce({ seat, address }: Place): Promise<RawAnswer | undefined> {
    const connection = this.#scene.seats.connect(seat, address)
    void connection.write(get('/marker', 'Connection: close'))
    const answer = await withinPatience(connection.answer())
    connection.close()
    return answer
  }

  #judge(place: Place, begun: number, status: number | undefined, body = ''): void {
    const { report } = this.#context
    const now = performance.now()
    const { pace } = this.#scene
    const { kind } = this.#scene.cloud
    if (status !== undefined) pace.judged(status === 200)
    const owner = this.#owners.ownerOf(place)
    const isOwed =
      owner !== undefined &&
      Math.max(this.#quietSince, this.#owners.changedAt(place) + 2_000) < begun - 5_000
    if (isOwed) report.othersTried()
    if (status === 200) {
      report.tried()
      this.#tried += 1
      if (this.#owners.had(place, body, begun, now)) return
      const whose = owner === undefined ? 'of a place that is nobody’s' : 'of another place or time'
      report.fault('wrong', `${kind}: an instance was named ${whose}`)
      return
    }
    report.count(`answered ${status ?? 'with nothing'}`)
    if (!isOwed) return
    report.fault(
      'othersFailed',
      `${kind}: ${status ?? 'nothing'} for a place that had not changed, with nothing disturbed`,
    )
  }

  /** Kills and restarts agent and workers at random moments. */
  async #disturb(options: AgentProgramOptions): Promise<void> {
    const { random, report } = this.#context
    const { proxy } = this.#scene
    while (this.#goesOn) {
      await pause(1_500 + random.below(5_000))
      if (!this.#goesOn) return
      this.#quietSince = Number.POSITIVE_INFINITY
      const way = random.pick(['agent SIGKILL', 'agent SIGTERM', 'agent SIGHUP', 'worker SIGKILL'])
      report.count(way)
      if (way === 'worker SIGKILL') {
        const { pid } = random.pick((await proxy.status()).workers)
        // 0 would be our own group: a worker that is just being replaced has no process.
        if (pid > 0) process.kill(pid, 'SIGKILL')
        await proxy.until('new workers', ({ workers }) =>
          workers.every((worker) => worker.state === 'ready' && worker.pid !== pid),
        )
      } else if (way === 'agent SIGHUP') {
        this.#agent?.signal('SIGHUP')
      } else {
        if (this.#agent?.isRunning === false) report.fault('crashed', 'the agent ended by itself')
        await this.#agent?.stop(way === 'agent SIGKILL' ? 'SIGKILL' : 'SIGTERM')
        this.#agent = await AgentProgram.start(options)
      }
      this.#quietSince = performance.now()
    }
  }
}

/** Requests that the workers of this moment have sent under leases. Those of killed ones are not known any more. */
async function wentStraight(proxy: RunningProxy): Promise<number> {
  const lines = (await proxy.metrics()).split('\n')
  const counted = lines.filter((line) => line.startsWith('overlapd_proxy_direct_requests_total'))
  return counted.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** What a guest would wait for. A request that gets no answer at all by then has failed. */
async function withinPatience<Answer>(
  answer: Promise<Answer | undefined>,
): Promise<Answer | undefined> {
  const abort = new AbortController()
  const late = pause(15_000, undefined, { signal: abort.signal }).catch(() => undefined)
  const first = await Promise.race([answer, late])
  abort.abort()
  return first
}
