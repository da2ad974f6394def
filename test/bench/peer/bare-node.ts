import type { DemoTopology } from '../../../deploy/demo/topology.ts'
import type { BareProxyOptions } from '../bare-proxy.ts'
import { BenchProcess } from '../bench-process.ts'
import type { UpstreamLimits, UpstreamStarted } from '../constant-upstream.ts'
import type { MeasuredSide } from '../measured-load.ts'
import { pssOfAll, type NamedPids } from '../process-figures.ts'
import type { Teardown } from '../teardown.ts'
import { redirect, routed } from './redirect.ts'

/**
 * A proxy of a hundred lines on Node's own sockets, in one process, that knows all identities and trusts every byte. No metadata service,
 * but a measure of what Node's sockets cost.
 */
export class BareNode implements MeasuredSide {
  readonly #proxy: BenchProcess<object>
  readonly #stop: () => Promise<void>

  private constructor(proxy: BenchProcess<object>, stop: () => Promise<void>) {
    this.#proxy = proxy
    this.#stop = stop
  }

  static async start(
    topology: DemoTopology,
    limits: UpstreamLimits,
    teardown: Teardown,
  ): Promise<BareNode> {
    const upstream = await BenchProcess.start<UpstreamStarted>(
      'constant-upstream.js',
      { host: '127.0.0.1', tcpPort: 0, ...limits },
      teardown,
    )
    const networks = routed(topology.networks)
    const options: BareProxyOptions = { computeTcpPort: upstream.started.tcpPort, networks }
    const proxy = await BenchProcess.start<object>('bare-proxy.js', options, teardown)
    await redirect(networks, '-A')
    const stop = teardown.add(async () => {
      await proxy.stop()
      await upstream.stop()
      await redirect(networks, '-D')
    })
    return new BareNode(proxy, stop)
  }

  pids(): NamedPids {
    return new Map([['node', [this.#proxy.pid]]])
  }

  pss(): number {
    return pssOfAll(this.pids())
  }

  async stop(): Promise<void> {
    await this.#stop()
  }
}
