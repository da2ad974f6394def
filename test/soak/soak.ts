import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { MonotonicMilliseconds } from '../../lib/runtime/clock.ts'
import { instanceId, ip, networkId, portId, projectId } from '../conformance/topology.ts'
import { emptyTopology, GuestSeats, type Seat } from '../attack/guest-seats.ts'
import { AgentProgram, agentSocketsIn, type AgentProgramOptions } from '../support/agent-program.ts'
import { runInNetns } from '../support/netns.ts'
import type { SeededRandom } from '../support/random.ts'
import { get, type RawAnswer } from '../support/raw-http.ts'
import { novaLike, RecordingUpstream } from '../support/recording-upstream.ts'
import {
  makeStage,
  startProxyOn,
  type ProxyStage,
  type ProxyStart,
  type RunningProxy,
} from '../support/running-proxy.ts'
import { staticFileText } from '../support/static-file.ts'
import type { Teardowns } from '../support/teardowns.ts'
import { Acts } from './failure-causes.ts'
import { HeapSampler } from './heap-sample.ts'
import { sampleProcess } from './process-sample.ts'
import { SoakReport } from './soak-report.ts'

export interface SoakOptions {
  readonly random: SeededRandom
  readonly namespaces: number
  readonly minutes: number
  readonly forwarding: 'agent' | 'direct'
  readonly onSample: (report: SoakReport) => void
}

const secret = 's3cr3t'
const sampleEvery = 10_000
const requestsPerSecond = 40
/** A request to compute that is under way while things happen. */
const slowAnswer = 3_000
/** As long as a worker lets anybody wait for its turn. */
const guestPatience = 10_000
/** Nobody waits longer for an answer. */
const patience = 40_000
/** An instance that lost its port may be named for so long: the file is read, leases end. */
const staleBound = 8_000
/** A port changes between so many instances: with ever new ones the agent's report of guests would grow up to its own limit. */
const instancesOfPort = 4
const firstInstance = 0x20_0000
/** In this last part of a run supervisor and agent are restarted; before it they live long enough to show growth. */
const restartsFrom = 0.7

/** A host with churn for as long as wanted, and everything that failed or grew. */
export class Soak {
  readonly report = new SoakReport()
  readonly #options: SoakOptions
  readonly #seats: GuestSeats
  readonly #stage: ProxyStage
  readonly #agentOptions: AgentProgramOptions
  readonly #portsFile: string
  readonly #heaps: HeapSampler
  readonly #t: Teardowns
  readonly #acts = new Acts()
  /** By router: whose its guest has been, the last one first. */
  readonly #instances = new Map<number, { readonly number: number; readonly since: number }[]>()
  #agent: AgentProgram
  #proxy: RunningProxy
  #begun: MonotonicMilliseconds = performance.now()
  #isRestarting = false

  private constructor(
    t: Teardowns,
    options: SoakOptions,
    scene: {
      readonly seats: GuestSeats
      readonly stage: ProxyStage
      readonly agentOptions: AgentProgramOptions
      readonly portsFile: string
      readonly heaps: HeapSampler
    },
    running: { readonly agent: AgentProgram; readonly proxy: RunningProxy },
  ) {
    this.#t = t
    this.#options = options
    this.#seats = scene.seats
    this.#stage = scene.stage
    this.#agentOptions = scene.agentOptions
    this.#portsFile = scene.portsFile
    this.#heaps = scene.heaps
    this.#agent = running.agent
    this.#proxy = running.proxy
  }

  static async run(t: Teardowns, options: SoakOptions): Promise<SoakReport> {
    const { namespaces, forwarding } = options
    const seats = await GuestSeats.make(t, {
      routers: namespaces,
      guestsPerRouter: 1,
      addressesPerGuest: 1,
    })
    const stage = await makeStage(t)
    const { folder } = stage
    const answer = novaLike(secret)
    const upstream: RecordingUpstream = await RecordingUpstream.start(async (request, response) => {
      upstream.requests.length = 0
      if (request.target.startsWith('/slow')) await pause(slowAnswer)
      answer(request, response)
    })
    t.teardown(() => upstream.close())
    writeFileSync(join(folder, 'secret'), secret, { mode: 0o600 })
    const sockets = { ...agentSocketsIn(folder), agent: join(folder, 'overlapd-agent.sock') }
    const portsFile = join(folder, 'ports.json')
    const heaps = new HeapSampler(folder)
    const agentOptions: AgentProgramOptions = {
      sockets,
      environment: heaps.environment,
      configFile: join(folder, 'agent.json'),
      config: {
        ports: { kind: 'static', static: { file: portsFile } },
        source_mac: 'verify',
        compute: { upstreams: [upstream.url], shared_secret_file: join(folder, 'secret') },
        leases: {
          enabled: forwarding === 'direct',
          socket: sockets.lease,
          mode: '0600',
          user: 'nobody',
        },
        limits: { timeout_drain: '10s' },
      },
    }
    const set = [
      `agents=${JSON.stringify([sockets.agent])}`,
      // As long as an agent may need to come back on a busy machine.
      'agent.timeout_connect=30s',
      'restart.serve_after_crash=60s',
      ...(forwarding === 'direct' ? [`leases.socket=${sockets.lease}`] : []),
    ]
    const start = { set, by: ['env', '-i', ...heaps.environment] }
    const proxy = await startProxyOn(t, stage, start)
    seats.nameIn(proxy.netnsFolder)
    const first = (file: string): void => writeFileSync(file, '{"ports":[]}')
    first(portsFile)
    const agent = await AgentProgram.start(agentOptions)
    const soak = new Soak(
      t,
      options,
      { seats, stage, agentOptions, portsFile, heaps },
      { agent, proxy },
    )
    t.teardown(() => soak.#agent.stop('SIGKILL'))
    await soak.#goOn(start)
    return soak.report
  }

  get #passed(): number {
    return (performance.now() - this.#begun) / (this.#options.minutes * 60_000)
  }

  async #goOn(start: ProxyStart): Promise<void> {
    for (const { router } of this.#seats.all) this.#bind(router)
    this.#writePorts()
    await this.#untilServing()
    // The file has been read once every guest is answered.
    for (const seat of this.#seats.all) {
      while ((await this.#ask(seat, get('/first'))) !== 200) await pause(100)
    }
    this.report.requests = 0
    this.#begun = performance.now()
    const load = this.#load()
    await Promise.all([
      this.#churnNamespaces(),
      this.#churnPorts(),
      this.#hurt(start),
      this.#sample(),
    ])
    await load
  }

  /** By the proxy that runs, or by the one that follows it. */
  async #untilServing(): Promise<void> {
    for (;;) {
      const proxy = this.#proxy
      try {
        await proxy.until('every namespace', ({ namespaces }) => {
          const served = namespaces.filter(
            ({ state, interception }) => state === 'serving' && interception === 'applied',
          )
          return served.length === this.#options.namespaces
        })
        return
      } catch (cause) {
        if (proxy === this.#proxy && !this.#isRestarting) throw cause
        await pause(100)
      }
    }
  }

  /** Asks at a steady pace, whatever becomes of what was asked before; some answers are slow, some requests have a body. */
  async #load(): Promise<void> {
    const { random } = this.#options
    const running = new Set<Promise<void>>()
    while (this.#passed < 1) {
      const seat = random.pick(this.#seats.all)
      const path = random.chance(5) ? '/slow' : '/latest/meta-data/instance-id'
      const body = 'c2VjcmV0'
      const text = random.chance(10)
        ? `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
        : get(path)
      const one = this.#request(seat, text).finally(() => running.delete(one))
      running.add(one)
      await pause(1_000 / requestsPerSecond)
    }
    await Promise.all(running)
  }

  async #request(seat: Seat, text: string): Promise<void> {
    const begun = performance.now()
    this.report.requests += 1
    const got = await this.#ask(seat, text)
    if (got === 200) return
    const cause = this.#acts.causeOf(seat.router, begun, performance.now())
    if (cause === undefined) this.report.failed(`${text.slice(0, text.indexOf(' HTTP'))}: ${got}`)
    else this.report.allowed(cause)
  }

  /** @returns the status, or how it failed */
  async #ask(seat: Seat, text: string): Promise<number | string> {
    const begun = performance.now()
    try {
      const connection = this.#seats.connect(seat)
      const late = setTimeout(() => connection.close(), patience)
      let failure = 'ended without an answer'
      connection.socket.once(
        'error',
        (cause: NodeJS.ErrnoException) => (failure = cause.code ?? failure),
      )
      void connection.write(text)
      const answer = await connection.answer()
      clearTimeout(late)
      connection.close()
      if (answer?.status === 200) this.#judge(seat, begun, answer)
      if (answer === undefined) return failure
      const reason = answer.field('x-overlapd-reason')
      return answer.status === 200 ? 200 : `${answer.status} ${reason ?? ''}`
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause)
    }
  }

  #judge(seat: Seat, begun: MonotonicMilliseconds, answer: RawAnswer): void {
    const owners = this.#instances.get(seat.router) ?? []
    const named = answer.body.toString()
    const isRight = owners.some(({ number }, index) => {
      const until = owners[index - 1]?.since ?? Number.POSITIVE_INFINITY
      return instanceId(number) === named && until + staleBound >= begun
    })
    if (isRight) return
    const was = owners.findIndex(({ number }) => instanceId(number) === named)
    const until = owners[was - 1]?.since
    const since =
      until === undefined ? 'never its own' : `for ${Math.round(begun - until)} ms not its own`
    this.report.gaveWrong(`router ${seat.router}: ${named}, ${since}`)
  }

  #bind(router: number): void {
    const owners = this.#instances.get(router) ?? []
    const turn = ((owners[0]?.number ?? -1) + 1) % instancesOfPort
    const number = firstInstance + router * instancesOfPort + turn
    const owner = { number, since: performance.now() }
    this.#instances.set(router, [owner, ...owners].slice(0, instancesOfPort))
  }

  #writePorts(): void {
    const ports = this.#seats.all.map((seat) => ({
      portId: portId(seat.router),
      networkId: networkId(seat.router),
      macAddress: seat.macAddress,
      fixedIps: seat.addresses.map(ip),
      projectId: projectId(seat.router),
      instanceId: instanceId(this.#instances.get(seat.router)?.[0]?.number ?? 0),
      deviceOwner: 'compute:nova',
    }))
    const text = staticFileText({ ...emptyTopology(this.#options.namespaces), ports })
    writeFileSync(`${this.#portsFile}.new`, text)
    renameSync(`${this.#portsFile}.new`, this.#portsFile)
  }

  async #churnNamespaces(): Promise<void> {
    const { random } = this.#options
    while (this.#passed < 1) {
      const router = random.pick(this.#seats.all).router
      await this.#acts.during('its namespace was deleted under it', router, async () => {
        this.#seats.remove(router, this.#stage.netnsFolder)
        if (random.chance(50)) await pause(random.below(500))
        this.#seats.makeAgain(router, this.#stage.netnsFolder)
        await this.#untilServing()
        await this.#untilAnswered(router)
      })
      this.report.act('namespaces made again')
      await pause(300)
    }
  }

  async #untilAnswered(router: number): Promise<void> {
    const seat = this.#seats.all.find((one) => one.router === router)
    while (seat !== undefined && this.#passed < 1.2) {
      if ((await this.#ask(seat, get('/again'))) === 200) return
      await pause(50)
    }
  }

  async #churnPorts(): Promise<void> {
    while (this.#passed < 1) {
      this.#bind(this.#options.random.pick(this.#seats.all).router)
      this.#writePorts()
      this.report.act('ports bound to another instance')
      await pause(2_000)
    }
  }

  async #hurt(start: ProxyStart): Promise<void> {
    const { random, minutes } = this.#options
    const rest = Math.min(20_000, (minutes * 60_000) / 15)
    while (this.#passed < 1) {
      await pause(rest / 2 + random.below(rest))
      if (this.#passed >= 1) return
      const late = this.#passed > restartsFrom
      const gentle = ['proxy SIGHUP', 'agent SIGHUP'] as const
      const rude = [
        'worker SIGKILL',
        'agent SIGTERM',
        'agent SIGKILL',
        'proxy SIGUSR2',
        'proxy SIGKILL',
        'proxy SIGTERM',
      ] as const
      const way = random.pick(late ? [...gentle, ...rude] : gentle)
      await this.#do(way, start)
      this.report.act(way)
    }
  }

  async #do(way: string, start: ProxyStart): Promise<void> {
    switch (way) {
      case 'proxy SIGHUP':
        process.kill(this.#proxy.pid, 'SIGHUP')
        return
      case 'agent SIGHUP':
        this.#agent.signal('SIGHUP')
        return
      case 'worker SIGKILL':
        await this.#acts.during('its worker was killed', undefined, async () => {
          const { pid } = this.#options.random.pick((await this.#proxy.status()).workers)
          // 0 would be our own group: a worker that is just being replaced has no process.
          if (pid > 0) process.kill(pid, 'SIGKILL')
          await this.#proxy.until('new workers', ({ workers }) =>
            workers.every((worker) => worker.state === 'ready' && worker.pid !== pid),
          )
        })
        return
      case 'agent SIGTERM':
        await this.#agent.stop('SIGTERM')
        await this.#startAgent()
        return
      case 'agent SIGKILL':
        await this.#acts.during('its agent was killed', undefined, async () => {
          await this.#agent.stop('SIGKILL')
        })
        await this.#startAgent()
        return
      case 'proxy SIGTERM':
        await this.#acts.during('the proxy was stopped', undefined, async () => {
          this.#isRestarting = true
          await this.#proxy.stop()
          await this.#startProxy(start)
        })
        return
      default:
        this.#isRestarting = true
        process.kill(this.#proxy.pid, way === 'proxy SIGKILL' ? 'SIGKILL' : 'SIGUSR2')
        await this.#proxy.ended
        await this.#startProxy(start)
    }
  }

  /** Workers turn those away as overloaded who wait for a connection to no agent for longer than a guest waits for anything. */
  async #startAgent(): Promise<void> {
    const from = performance.now()
    this.#agent = await AgentProgram.start(this.#agentOptions)
    if (performance.now() - from < guestPatience) return
    this.#acts.note('the next agent took longer to start than guests wait', from)
  }

  async #startProxy(start: ProxyStart): Promise<void> {
    this.#proxy = await startProxyOn(this.#t, this.#stage, start)
    this.#isRestarting = false
    await this.#untilServing()
  }

  async #sample(): Promise<void> {
    while (this.#passed < 1) {
      await pause(Math.min(sampleEvery, this.#options.minutes * 1_000))
      const status = await this.#proxy.status().catch(() => undefined)
      const workers = (status?.workers ?? []).filter(({ pid }) => pid > 0)
      await this.#sampleOne('supervisor', this.#proxy.pid)
      await this.#sampleOne('agent', this.#agent.pid)
      for (const { pid } of workers) await this.#sampleOne('worker', pid)
      await this.#sampleRules()
      this.#options.onSample(this.report)
    }
  }

  async #sampleOne(name: string, pid: number): Promise<void> {
    const heap = await this.#heaps.sample(pid)
    const sample = existsSync(`/proc/${pid}`) ? sampleProcess(pid) : undefined
    if (sample === undefined) return
    const { descriptors, sockets, threads } = sample
    this.report.sample(name, pid, heap ? { descriptors, sockets, threads, ...heap } : sample)
  }

  /** Lines of the rules of one namespace: ours come with each namespace and must not add up. */
  async #sampleRules(): Promise<void> {
    const [netns = ''] = this.#seats.namespaces
    const { code, stdout } = await runInNetns(netns, ['nft', 'list', 'ruleset'])
    if (code === 0 && stdout !== '') {
      this.report.value('first namespace', 'nft lines', 0, stdout.split('\n').length)
    }
  }
}
