import type { DemoTopology } from '../../../deploy/demo/topology.ts'
import { BenchNetwork, planNetworks, twinOf } from '../bench-network.ts'
import { BenchProcess } from '../bench-process.ts'
import type { UpstreamStarted } from '../constant-upstream.ts'
import { measureLoad, warmUp, type MeasuredSide, type RowSubject } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { BareNode } from '../peer/bare-node.ts'
import { ControlPlane } from '../peer/control-plane.ts'
import { PeerSide, type PeerKind } from '../peer/peer-side.ts'
import { routed } from '../peer/redirect.ts'
import { TunedHaproxy } from '../peer/tuned-haproxy.ts'
import { comparedName } from '../ratios.ts'
import type { UpstreamKind } from '../row.ts'
import type { Scenario, ScenarioOptions } from '../scenario.ts'
import { warmLoads, warmNetwork } from './warm.ts'

/** One that takes its turn under each load. */
interface Contender {
  readonly subject: RowSubject
  readonly measured: MeasuredSide
  readonly network: BenchNetwork
  /** As many as take a few seconds of each. */
  readonly requests: { readonly quick: number; readonly full: number }
  readonly prepare?: () => Promise<void>
  readonly stop?: () => Promise<void>
}

/** What stays for both kinds of upstream: the control plane, and the same guests in namespaces of each side's own. */
interface Stage {
  readonly controlPlane: ControlPlane
  readonly peer: PeerSide
  readonly networks: Readonly<Record<'peer' | 'tuned' | 'bare' | Forwarding, BenchNetwork>>
}

async function setStage({ progress, network, teardown }: ScenarioOptions): Promise<Stage> {
  await network.remove()
  progress('compared: starting neutron-server, RabbitMQ and MariaDB')
  const controlPlane = await ControlPlane.start(teardown)
  progress('compared: making networks and ports in Neutron')
  const topology = await controlPlane.seed(planNetworks(warmNetwork))
  progress('compared: building namespaces')
  const build = (plan: DemoTopology): Promise<BenchNetwork> => BenchNetwork.build(plan, teardown)
  const networks = {
    peer: await build(topology),
    agent: await build(twinOf(topology, 'agent')),
    direct: await build(twinOf(topology, 'direct')),
    tuned: await build(twinOf(topology, 'tuned')),
    bare: await build(twinOf(topology, 'bare')),
  }
  progress("compared: starting Neutron's agents and haproxies")
  const computes = new Map<UpstreamKind, number>()
  for (const kind of ['keeps', 'closes'] satisfies UpstreamKind[]) {
    const { started } = await BenchProcess.start<UpstreamStarted>(
      'constant-upstream.js',
      { host: '127.0.0.1', tcpPort: 0, closes: kind === 'closes' },
      teardown,
    )
    computes.set(kind, started.tcpPort)
  }
  const peer = await PeerSide.start(controlPlane, topology, computes, teardown)
  return { controlPlane, peer, networks }
}

async function startContenders(
  { controlPlane, peer, networks }: Stage,
  upstream: UpstreamKind,
  { teardown, profiler }: ScenarioOptions,
): Promise<readonly Contender[]> {
  const limits = { closes: upstream === 'closes' }
  const theirs = (side: PeerKind, requests: Contender['requests']): Contender => ({
    subject: { name: 'compared', side, upstream },
    measured: peer,
    network: networks.peer,
    requests,
    prepare: () => peer.use(side, upstream),
  })
  const ours = async (forwarding: Forwarding): Promise<Contender> => {
    const network = networks[forwarding]
    const side = await OurSide.start({
      topology: network.topology,
      teardown,
      profiler,
      forwarding,
      upstream: limits,
      neutron: controlPlane.neutronUrl,
    })
    const measured: MeasuredSide = {
      pids: () => side.pids(),
      pss: () => side.pss(),
      controlPlane: () => controlPlane.pids(),
      profiler,
    }
    const name = comparedName(forwarding === 'direct' ? 'direct' : 'two-hops')
    return {
      subject: { name, side: 'ours', upstream },
      measured,
      network,
      requests: { quick: 2_000, full: 20_000 },
      stop: () => side.stop(),
    }
  }
  const measure = (
    side: 'haproxy-tuned' | 'node-bare',
    network: BenchNetwork,
    measured: TunedHaproxy | BareNode,
  ): Contender => ({
    subject: { name: 'compared', side, upstream },
    measured,
    network,
    requests: { quick: 2_000, full: 20_000 },
    stop: () => measured.stop(),
  })
  const bare = await BareNode.start(networks.bare.topology, limits, teardown)
  const tuned = await TunedHaproxy.start(networks.tuned.topology, limits, teardown)
  return [
    theirs('peer', { quick: 64, full: 400 }),
    theirs('peer-cache', { quick: 640, full: 6_000 }),
    await ours('agent'),
    await ours('direct'),
    measure('haproxy-tuned', networks.tuned, tuned),
    measure('node-bare', networks.bare, bare),
  ]
}

/** Guests behind a router: the two that are a measure stand nowhere else. */
function targetsOf({ network }: Contender): ReturnType<BenchNetwork['targets']> {
  return network.targets(routed(network.topology.networks).flatMap(({ guests }) => guests))
}

async function compare(
  contenders: readonly Contender[],
  { quick, progress, add }: ScenarioOptions,
): Promise<void> {
  const titleOf = ({ subject: { name, side, upstream } }: Contender): string =>
    `${name} (${side}, compute ${upstream})`
  for (const contender of contenders) {
    progress(`${titleOf(contender)}: warming up`)
    await contender.prepare?.()
    await warmUp(targetsOf(contender), contender.requests[quick ? 'quick' : 'full'])
  }
  for (const load of warmLoads) {
    for (const contender of contenders) {
      const how = load.keepAlive ? 'keep-alive' : 'new connections'
      progress(`${titleOf(contender)}: ${load.connections} at a time, ${how}`)
      await contender.prepare?.()
      const requests = contender.requests[quick ? 'quick' : 'full']
      const options = { ...load, requests, targets: targetsOf(contender) }
      add(await measureLoad(contender.subject, contender.measured, options))
    }
  }
}

/** The same guests of a real Neutron, served by the peer, by us, by a tuned haproxy and by a bare proxy on Node's sockets, each load on all of them in turn. */
export const compared: Scenario = {
  name: 'compared',
  what: "warm requests beside haproxy and Neutron's metadata agent, without and with its cache",
  async run(options) {
    const stage = await setStage(options)
    for (const upstream of ['closes', 'keeps'] satisfies UpstreamKind[]) {
      options.progress(`compared: starting the sides, compute ${upstream}`)
      const contenders = await startContenders(stage, upstream, options)
      await compare(contenders, options)
      for (const { stop } of contenders) await stop?.()
    }
  },
}
