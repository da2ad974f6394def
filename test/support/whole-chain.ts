/** How do tests get everything from a guest's connection to the compute API: the built proxy, the built agent, real answers? */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Teardowns } from './teardowns.ts'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import { systemClock } from '../../lib/runtime/clock.ts'
import { requestAdmin, requestAdminJson } from '../../lib/http/admin-client.ts'
import { devSecret, runDevCompute, type RunningDevCompute } from './dev-compute.ts'
import { testsDirectForwarding } from './forwarding-mode.ts'
import { until } from './until.ts'
import { openFolder, startProxy, type RunningProxy } from './running-proxy.ts'

const agentProgram = fileURLToPath(new URL('../../dist/agent-side/main.js', import.meta.url))

export interface ChainOptions {
  /** The file that the `static` directory and the compute API read. */
  readonly topology: unknown
  readonly sourceMac?: SourceMacPolicy
  /** Whether workers forward under leases. @default as OVERLAPD_TEST_FORWARDING says */
  readonly direct?: boolean
  /** Of the agent's configuration: what is behind which network. */
  readonly networks?: Readonly<Record<string, { readonly behind: readonly string[] }>>
  /** The policy of the shield, as a file holds it. */
  readonly policy?: string
  /** Further `--set` of the proxy. */
  readonly proxy?: readonly string[]
}

/** Everything that runs on a host, and the compute API behind it. */
export class WholeChain {
  readonly proxy: RunningProxy
  readonly #places: Places
  #compute: RunningDevCompute
  #agent: RunningAgentProgram

  private constructor(
    proxy: RunningProxy,
    compute: RunningDevCompute,
    places: Places,
    agent: RunningAgentProgram,
  ) {
    this.proxy = proxy
    this.#compute = compute
    this.#places = places
    this.#agent = agent
  }

  static async start(t: Teardowns, options: ChainOptions): Promise<WholeChain> {
    const folder = openFolder(t)
    const topology = JSON.stringify(options.topology)
    const compute = await runDevCompute(topology)
    const places: Places = {
      folder,
      agentSocket: join(folder, 'agent.sock'),
      leaseSocket: join(folder, 'lease.sock'),
      adminSocket: join(folder, 'agent-admin.sock'),
      computeUrl: compute.url,
      direct: options.direct ?? testsDirectForwarding(),
      networks: options.networks ?? {},
    }
    writeFileSync(join(folder, 'topology.json'), topology)
    writeFileSync(join(folder, 'secret'), devSecret, { mode: 0o600 })
    writeFileSync(join(folder, 'shield.yaml'), options.policy ?? '')
    const agent = await startAgentProgram(places, options.sourceMac ?? 'prefer')
    const chain: { now?: WholeChain } = {}
    t.teardown(async () => {
      const { now } = chain
      await (now === undefined ? compute : now.#compute).closeAll()
      await (now === undefined ? agent : now.#agent).stop()
    })
    const proxy = await startProxy(
      t,
      `agents=${JSON.stringify([places.agentSocket])}`,
      'limits.timeout_drain=1s',
      `leases.socket=${places.leaseSocket}`,
      ...(options.proxy ?? []),
    )
    chain.now = new WholeChain(proxy, compute, places, agent)
    return chain.now
  }

  get compute(): RunningDevCompute {
    return this.#compute
  }

  /** Another compute API at the same address; for a moment there is none. */
  async restartCompute(): Promise<void> {
    const topology = readFileSync(join(this.#places.folder, 'topology.json'), 'utf8')
    const { port } = new URL(this.#compute.url)
    await this.#compute.closeAll()
    this.#compute = await runDevCompute(topology, systemClock, Number(port))
  }

  /** Lets the proxy find a namespace under the name Neutron would give it. */
  name(netns: string, neutronName: string): void {
    symlinkSync(`/run/netns/${netns}`, join(this.proxy.netnsFolder, neutronName))
  }

  unname(neutronName: string): void {
    unlinkSync(join(this.proxy.netnsFolder, neutronName))
  }

  /** Resolves when so many namespaces are served and redirected as wanted. */
  async untilServing(count: number): Promise<void> {
    await this.proxy.until(`${count} served`, ({ namespaces }) => {
      const served = namespaces.filter(
        ({ state, interception }) =>
          state === 'serving' && (interception === undefined || interception === 'applied'),
      )
      return served.length === count && namespaces.length === count
    })
  }

  /** Another policy of the shield. Resolves when the agent uses it. */
  async setPolicy(policy: string): Promise<void> {
    const used = async (): Promise<string | undefined> =>
      /^overlapd_agent_shield_files_total\{file="policy",outcome="used"\} \d+/m.exec(
        await this.agentMetrics(),
      )?.[0]
    const before = await used()
    writeFileSync(join(this.#places.folder, 'shield.yaml'), policy)
    await until(async () => (await used()) !== before, 20)
  }

  async stopAgent(): Promise<void> {
    await this.#agent.stop()
  }

  /** Another agent on the same sockets, which remembers nothing. */
  async restartAgent(sourceMac: SourceMacPolicy): Promise<void> {
    await this.#agent.stop()
    this.#agent = await startAgentProgram(this.#places, sourceMac)
  }

  /** One request as the agent decided it, by its id. */
  async explain(requestId: string): Promise<unknown> {
    const { adminSocket } = this.#places
    return (await requestAdminJson(adminSocket, `/explain?request=${requestId}`)).value
  }

  get agentAdmin(): string {
    return this.#places.adminSocket
  }

  async agentMetrics(): Promise<string> {
    return (await requestAdmin(this.#places.adminSocket, '/metrics')).body
  }

  agentLog(): string {
    return this.#agent.log()
  }
}

interface Places {
  readonly folder: string
  readonly agentSocket: string
  readonly leaseSocket: string
  readonly adminSocket: string
  readonly computeUrl: string
  readonly direct: boolean
  readonly networks: NonNullable<ChainOptions['networks']>
}

interface RunningAgentProgram {
  stop(): Promise<void>
  log(): string
}

async function startAgentProgram(
  places: Places,
  sourceMac: SourceMacPolicy,
): Promise<RunningAgentProgram> {
  const { folder, adminSocket } = places
  const config = join(folder, `agent-${sourceMac}.json`)
  writeFileSync(
    config,
    JSON.stringify({
      listeners: [{ kind: 'overlapd', socket: places.agentSocket, mode: 'all' }],
      ports: { kind: 'static', static: { file: join(folder, 'topology.json') } },
      source_mac: sourceMac,
      networks: places.networks,
      shield: {
        policy_file: join(folder, 'shield.yaml'),
        state_file: join(folder, 'shield.state'),
      },
      compute: {
        upstreams: [places.computeUrl],
        // What compute got is counted.
        probe_interval: '0s',
        shared_secret_file: join(folder, 'secret'),
      },
      leases: {
        // Without MACs there is nothing to lease on, and the agent says so.
        enabled: places.direct && sourceMac !== 'off',
        socket: places.leaseSocket,
        mode: '0600',
        user: 'nobody',
      },
      rate_limit: { enabled: false },
      admin: { socket: adminSocket },
      limits: { timeout_drain: '1s' },
    }),
  )
  // By way of env, or the test runner adds its own loaders to the program.
  const child = spawn('env', ['-i', process.execPath, agentProgram, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (log += text))
  }
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  for (let tries = 0; tries < 1_000; tries += 1) {
    if (child.exitCode !== null) break
    const ready = await requestAdmin(adminSocket, '/ready').catch(() => undefined)
    if (ready?.status === 200) return { stop, log: () => log }
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
  await stop()
  throw new Error(`The agent is not ready: ${log}`)
}
