import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from '../../../deploy/demo/run-command.ts'
import type { DemoNetwork, DemoTopology } from '../../../deploy/demo/topology.ts'
import { BenchProcess } from '../bench-process.ts'
import type { UpstreamLimits, UpstreamStarted } from '../constant-upstream.ts'
import type { MeasuredSide } from '../measured-load.ts'
import { pssOfAll, type NamedPids } from '../process-figures.ts'
import type { Teardown } from '../teardown.ts'
import { redirect, routed } from './redirect.ts'

/**
 * One haproxy for all namespaces, as nobody deploys it here: it knows all identities from files and goes straight to compute over kept
 * connections. It is no metadata service, but a measure of what a proxy has to cost.
 */
export class TunedHaproxy implements MeasuredSide {
  readonly #pid: number
  readonly #stop: () => Promise<void>

  private constructor(pid: number, stop: () => Promise<void>) {
    this.#pid = pid
    this.#stop = stop
  }

  static async start(
    topology: DemoTopology,
    limits: UpstreamLimits,
    teardown: Teardown,
  ): Promise<TunedHaproxy> {
    const upstream = await BenchProcess.start<UpstreamStarted>(
      'constant-upstream.js',
      { host: '127.0.0.1', tcpPort: 0, ...limits },
      teardown,
    )
    const networks = routed(topology.networks)
    const folder = await mkdtemp(join(tmpdir(), 'overlapd-bench-tuned-'))
    for (const network of networks) await writeFile(mapFile(folder, network), mapText(network))
    const configFile = join(folder, 'haproxy.conf')
    await writeFile(configFile, configText(folder, networks, upstream.started.tcpPort))
    await redirect(networks, '-A')
    const pidFile = join(folder, 'pid')
    await runCommand('haproxy', ['-D', '-f', configFile, '-p', pidFile])
    const pid = Number(await readFile(pidFile, 'utf8'))
    const stop = teardown.add(async () => {
      process.kill(pid, 'SIGKILL')
      await upstream.stop()
      await redirect(networks, '-D')
      await rm(folder, { recursive: true, force: true })
    })
    return new TunedHaproxy(pid, stop)
  }

  pids(): NamedPids {
    return new Map([['haproxy', [this.#pid]]])
  }

  pss(): number {
    return pssOfAll(this.pids())
  }

  async stop(): Promise<void> {
    await this.#stop()
  }
}

function mapFile(folder: string, { netns }: DemoNetwork): string {
  return join(folder, `${netns}.map`)
}

function mapText({ guests }: DemoNetwork): string {
  return guests.map(({ ip, instanceId }) => `${ip} ${instanceId}\n`).join('')
}

function configText(folder: string, networks: readonly DemoNetwork[], tcpPort: number): string {
  const frontends = networks.map(
    (network) => `
frontend ${network.netns}
    bind ipv4@:9697 namespace ${network.netns} defer-accept
    http-request set-header X-Instance-ID %[src,map_ip(${mapFile(folder, network)})]
    http-request set-header X-Tenant-ID ${network.projectId}
    http-request set-header X-Instance-ID-Signature ${'0'.repeat(64)}
    http-request set-header X-Forwarded-For %[src]
    default_backend compute
`,
  )
  return `global
    nbthread 1
    maxconn 4000
defaults
    mode http
    http-reuse always
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s
backend compute
    server compute 127.0.0.1:${tcpPort}
${frontends.join('')}`
}
