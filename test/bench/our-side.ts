import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Daemon } from '../../deploy/demo/daemons.ts'
import { documentText, layOut, removeFolder } from '../../deploy/demo/daemon-set.ts'
import { agentDocument, proxyDocument, type DemoPlaces } from '../../deploy/demo/documents.ts'
import type { DemoTopology } from '../../deploy/demo/topology.ts'
import type { Milliseconds } from '../../lib/clock.ts'
import { askAdminJson } from '../../lib/http/admin-client.ts'
import { pssOf, processTree } from './process-figures.ts'
import type { UpstreamOptions } from './constant-upstream.ts'

const patience: Milliseconds = 120_000

export interface OurSideOptions {
  readonly topology: DemoTopology
  readonly upstream: Pick<UpstreamOptions, 'delay' | 'concurrency'>
  /** Merged over the usual documents: what a scenario wants to be different. */
  readonly agent?: Readonly<Record<string, unknown>>
  readonly proxy?: Readonly<Record<string, unknown>>
}

/** overlapd on the network of a benchmark: agent, proxy and a constant upstream, each in processes of its own. */
export class OurSide {
  readonly places: DemoPlaces
  readonly agent: Daemon
  readonly proxy: Daemon
  /** From starting the proxy's program until it says that every namespace is served. */
  readonly attachedIn: Milliseconds
  readonly #upstream: ChildProcess

  private constructor(
    places: DemoPlaces,
    agent: Daemon,
    proxy: Daemon,
    attachedIn: Milliseconds,
    upstream: ChildProcess,
  ) {
    this.places = places
    this.agent = agent
    this.proxy = proxy
    this.attachedIn = attachedIn
    this.#upstream = upstream
  }

  static async start(options: OurSideOptions): Promise<OurSide> {
    const { topology } = options
    const places = await layOut(topology, undefined)
    const upstream = await startUpstream({
      host: '127.0.0.1',
      tcpPort: places.computeTcpPort,
      ...options.upstream,
    })
    const agentConfig = { ...(agentDocument(places) as object), ...options.agent }
    await writeFile(places.agentConfig, documentText(agentConfig))
    for (const { netns, neutronName } of topology.networks) {
      await symlink(`/run/netns/${netns}`, `${places.netnsFolder}/${neutronName}`)
    }
    const proxyConfig = { ...(proxyDocument(places, {}) as object), ...options.proxy }
    await writeFile(places.proxyConfig, documentText(proxyConfig))
    const agent = startDaemon('overlapd-agent', 'agent-side/main.js', places.agentConfig, {
      logFile: `${places.folder}/agent.log`,
      adminSocket: places.agentAdminSocket,
    })
    await agent.ready(patience)
    const begun = performance.now()
    const proxy = startDaemon('overlapd-proxy', 'proxy/main.js', places.proxyConfig, {
      logFile: `${places.folder}/proxy.log`,
      adminSocket: places.proxyAdminSocket,
    })
    await proxy.ready(patience)
    return new OurSide(places, agent, proxy, performance.now() - begun, upstream)
  }

  /** Process ids by what they are, for meters. */
  pids(): Map<string, readonly number[]> {
    const [opener = 0, ...workers] = processTree(this.proxy.pid)
    return new Map([
      ['agent', processTree(this.agent.pid)],
      ['opener', [opener]],
      ['worker', workers],
    ])
  }

  /** Proportional set size of all our processes, MiB. */
  pss(): number {
    return [...this.pids().values()].flat().reduce((sum, pid) => sum + pssOf(pid), 0)
  }

  async agentStatus(): Promise<unknown> {
    return (await askAdminJson(this.places.agentAdminSocket, '/status')).value
  }

  async stop(): Promise<void> {
    await this.proxy.stop()
    await this.agent.stop()
    this.#upstream.kill('SIGKILL')
    await removeFolder(this.places)
  }
}

function startDaemon(
  name: string,
  program: string,
  config: string,
  rest: { readonly logFile: string; readonly adminSocket: string },
): Daemon {
  const environment = { PATH: process.env['PATH'] }
  return Daemon.start(
    { name, program, arguments: ['serve', '--config', config], ...rest },
    environment,
  )
}

/** Starts the constant upstream in its own process. @returns once it listens */
async function startUpstream(options: UpstreamOptions): Promise<ChildProcess> {
  const program = join(import.meta.dirname, 'constant-upstream.js')
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => {
      throw new Error('The constant upstream ended')
    }),
  ])
  return child
}
