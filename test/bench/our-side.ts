import { existsSync } from 'node:fs'
import { symlink, writeFile } from 'node:fs/promises'
import { Daemon } from '../../deploy/demo/daemons.ts'
import { documentText, layOut, removeFolder } from '../../deploy/demo/daemon-set.ts'
import { agentDocument, proxyDocument, type DemoPlaces } from '../../deploy/demo/documents.ts'
import type { DemoTopology } from '../../deploy/demo/topology.ts'
import type { Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { requestAdminJson } from '../../lib/http/admin-client.ts'
import { shieldReport } from '../../lib/shield/seen-row.ts'
import { watchAttaching, type Attaching } from './attaching.ts'
import { BenchProcess } from './bench-process.ts'
import type { UpstreamLimits, UpstreamStarted } from './constant-upstream.ts'
import type { MeasuredSide } from './measured-load.ts'
import { processTree, pssOfAll, type NamedPids } from './process-figures.ts'
import type { Profiler } from './profile/profiler.ts'
import type { Teardown } from './teardown.ts'

const patience: Milliseconds = 120_000

/** Over how many hops guests are served: through the agent, or straight to compute with a lease of the agent. */
export type Forwarding = 'agent' | 'direct'

export interface OurSideOptions {
  readonly topology: DemoTopology
  readonly teardown: Teardown
  /** Samples the daemons, where it is wanted. */
  readonly profiler?: Profiler | undefined
  /** @default answers at once */
  readonly upstream?: UpstreamLimits
  /** A compute service that is there already, instead of the constant one. */
  readonly compute?: { readonly url: string; readonly sharedSecret: string } | undefined
  /** @default 'agent' */
  readonly forwarding?: Forwarding
  /** URL of a Neutron without authentication; absent: ports come from a file. */
  readonly neutron?: string
  /** @default as the proxy decides */
  readonly workers?: Count
  /** Begins with a policy of the shield that a scenario may change. */
  readonly shieldPolicy?: string
}

function policyFileIn(folder: string): string {
  return `${folder}/shield.yaml`
}

/** The options that are this scenario's, in the words of the daemons' configuration. */
function chosen(
  options: OurSideOptions,
  { folder, secretFile }: DemoPlaces,
): { readonly agent: object; readonly proxy: object } {
  const { forwarding = 'agent', neutron, workers, compute, shieldPolicy } = options
  const leaseSocket = `${folder}/agent-lease.sock`
  const isDirect = forwarding === 'direct'
  return {
    agent: {
      // Workers have given up being root.
      ...(isDirect && { leases: { enabled: true, socket: leaseSocket, user: 'nobody' } }),
      ...(compute !== undefined && {
        compute: { upstreams: [compute.url], shared_secret_file: secretFile },
      }),
      ...(shieldPolicy !== undefined && { shield: { policy_file: policyFileIn(folder) } }),
      ...(neutron !== undefined && {
        ports: { kind: 'neutron-rest', neutron_rest: { auth_type: 'none', endpoint: neutron } },
      }),
    },
    proxy: {
      control: { socket: `${folder}/proxy-control.sock` },
      restart: { serve_after_crash: '30s' },
      ...(workers !== undefined && { workers: { count: workers } }),
      forwarding: isDirect ? 'auto' : 'agent',
      leases: { socket: leaseSocket },
    },
  }
}

/** overlapd on the network of a benchmark: agent, proxy and a constant upstream, each in processes of its own. */
export class OurSide implements MeasuredSide {
  readonly #places: DemoPlaces
  readonly #upstream: BenchProcess<UpstreamStarted> | undefined
  readonly #stop: () => Promise<void>
  #agent: Daemon
  #proxy: Daemon
  /** How long the proxy took for what, the first time. */
  readonly attaching: Attaching
  readonly profiler: Profiler | undefined

  private constructor(
    places: DemoPlaces,
    upstream: BenchProcess<UpstreamStarted> | undefined,
    { teardown, profiler }: Pick<OurSideOptions, 'teardown' | 'profiler'>,
    agent: Daemon,
    proxy: Daemon,
    attaching: Attaching,
  ) {
    this.profiler = profiler
    this.#places = places
    this.#upstream = upstream
    this.#agent = agent
    this.#proxy = proxy
    this.attaching = attaching
    this.#stop = teardown.add(() => this.#end())
  }

  static async start(options: OurSideOptions): Promise<OurSide> {
    const { topology, teardown, profiler, upstream: limits } = options
    const places = await layOut(topology, undefined)
    const running: Daemon[] = []
    // In one step: a daemon that still runs makes files in the folder while it is removed.
    const undo = teardown.add(async () => {
      for (const daemon of running.toReversed()) await daemon.stop()
      await removeFolder(places)
    })
    try {
      const upstream =
        options.compute === undefined
          ? await BenchProcess.start<UpstreamStarted>(
              'constant-upstream.js',
              { host: '127.0.0.1', tcpPort: places.computeTcpPort, ...limits },
              teardown,
            )
          : undefined
      await writeDocuments(places, options)
      for (const { netns, neutronName } of topology.networks) {
        await symlink(`/run/netns/${netns}`, `${places.netnsFolder}/${neutronName}`)
      }
      const agent = startAgent(places, profiler)
      running.push(agent)
      await agent.ready(patience)
      const proxy = startProxy(places, profiler)
      running.push(proxy)
      const attaching = await attached(places, proxy)
      return new OurSide(places, upstream, options, agent, proxy, attaching)
    } catch (cause) {
      await undo()
      throw cause
    }
  }

  /** Process ids by what they are, for meters. */
  pids(): NamedPids {
    const [supervisor = 0] = processTree(this.#proxy.pid)
    return new Map([
      ['agent', processTree(this.#agent.pid)],
      ['supervisor', [supervisor]],
      ['worker', this.workers()],
    ])
  }

  workers(): readonly number[] {
    return processTree(this.#proxy.pid).slice(1)
  }

  /** Proportional set size of all our processes, MiB. */
  pss(): number {
    return pssOfAll(this.pids())
  }

  /** Has the agent use another policy of the shield. @returns once it does */
  async setShieldPolicy(text: string): Promise<void> {
    const { folder, agentAdminSocket } = this.#places
    const loadedAt = async (): Promise<number> => {
      const { value } = await requestAdminJson(agentAdminSocket, '/shield', { bodyLimit: 2 ** 26 })
      return shieldReport.parse(value).policy.loadedAt
    }
    const before = await loadedAt()
    const limit = performance.now() + patience
    await writeFile(policyFileIn(folder), text)
    process.kill(this.#agent.pid, 'SIGHUP')
    while ((await loadedAt()) === before) {
      if (performance.now() > limit) throw new Error('The agent does not use the policy')
      await moment()
    }
  }

  /** Ends the agent and starts it again at once, as systemd would. @returns once it is ready */
  async restartAgent(signal: NodeJS.Signals): Promise<void> {
    process.kill(this.#agent.pid, signal)
    await this.#agent.stop()
    this.#agent = startAgent(this.#places, this.profiler)
    await this.#agent.ready(patience)
  }

  /** Ends the supervisor alone and starts it again at once. @returns once it is ready */
  async restartSupervisor(signal: 'SIGUSR2' | 'SIGKILL'): Promise<void> {
    process.kill(this.#proxy.pid, signal)
    await untilEnded(this.#proxy.pid)
    this.#proxy = startProxy(this.#places, this.profiler)
    await this.#proxy.ready(patience)
  }

  /** Kills one worker; the supervisor replaces it. @returns once all are ready again */
  async killWorker(pid: number): Promise<void> {
    const count = this.workers().length
    const limit = performance.now() + patience
    process.kill(pid, 'SIGKILL')
    for (;;) {
      await this.#proxy.ready(patience)
      const workers = this.workers()
      if (workers.length >= count && !workers.includes(pid)) return
      if (performance.now() > limit) throw new Error(`Worker ${pid} is not replaced`)
      await moment()
    }
  }

  async stop(): Promise<void> {
    await this.#stop()
  }

  async #end(): Promise<void> {
    await this.#proxy.stop()
    await this.#agent.stop()
    await this.#upstream?.stop()
    await removeFolder(this.#places)
    process.stdout.write(this.profiler?.text() ?? '')
  }
}

function moment(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 20)
  })
}

async function untilEnded(pid: number): Promise<void> {
  const limit = performance.now() + patience
  while (existsSync(`/proc/${pid}`)) {
    if (performance.now() > limit) throw new Error(`Process ${pid} does not end`)
    await moment()
  }
}

/** @throws Error with the end of its log when the proxy ends first or is not ready in time */
async function attached(places: DemoPlaces, proxy: Daemon): Promise<Attaching> {
  const abort = new AbortController()
  const ready = proxy.ready(patience)
  ready.catch((cause: unknown) => abort.abort(cause))
  const attaching = await watchAttaching(places.proxyAdminSocket, abort.signal)
  await ready
  return attaching
}

async function writeDocuments(places: DemoPlaces, options: OurSideOptions): Promise<void> {
  const { agent, proxy } = chosen(options, places)
  const agentConfig = { ...(agentDocument(places) as object), ...agent }
  const proxyConfig = { ...(proxyDocument(places, {}) as object), ...proxy }
  if (options.shieldPolicy !== undefined) {
    await writeFile(policyFileIn(places.folder), options.shieldPolicy)
  }
  if (options.compute !== undefined)
    await writeFile(places.secretFile, options.compute.sharedSecret)
  await writeFile(places.agentConfig, documentText(agentConfig))
  await writeFile(places.proxyConfig, documentText(proxyConfig))
}

function startAgent(places: DemoPlaces, profiler: Profiler | undefined): Daemon {
  return Daemon.start(
    {
      name: 'overlapd-agent',
      program: 'agent-side/main.js',
      arguments: ['serve', '--config', places.agentConfig],
      logFile: `${places.folder}/agent.log`,
      adminSocket: places.agentAdminSocket,
      nodeOptions: profiler?.nodeOptions('itself') ?? [],
    },
    process.env,
  )
}

function startProxy(places: DemoPlaces, profiler: Profiler | undefined): Daemon {
  return Daemon.start(
    {
      name: 'overlapd-proxy',
      program: 'proxy/main.js',
      arguments: ['serve', '--config', places.proxyConfig],
      logFile: `${places.folder}/proxy.log`,
      adminSocket: places.proxyAdminSocket,
      nodeOptions: profiler?.nodeOptions('children') ?? [],
    },
    process.env,
  )
}
