import { BenchNetwork, planNetworks, twinOf } from '../bench-network.ts'
import { measureLoad, warmUp, type MeasuredSide } from '../measured-load.ts'
import { OurSide, type Forwarding } from '../our-side.ts'
import { ControlPlane } from '../peer/control-plane.ts'
import { PeerSide, type PeerKind } from '../peer/peer-side.ts'
import { comparedName } from '../ratios.ts'
import type { Side } from '../row.ts'
import type { Scenario } from '../scenario.ts'
import { warmLoads, warmNetwork } from './warm.ts'

/** One that takes its turn under each load. */
interface Contender {
  readonly name: string
  readonly side: Side
  readonly measured: MeasuredSide
  readonly network: BenchNetwork
  /** As many as take a few seconds of each. */
  readonly requests: { readonly quick: number; readonly full: number }
  readonly prepare?: () => Promise<void>
}

/** The same guests of a real Neutron, served by the peer and by us, each load on all of them in turn. */
export const compared: Scenario = {
  name: 'compared',
  what: "warm requests beside haproxy and Neutron's metadata agent, without and with its cache",
  async run({ quick, progress, add, network: shared, teardown, profiler }) {
    await shared.remove()
    progress('compared: starting neutron-server, RabbitMQ and MariaDB')
    const controlPlane = await ControlPlane.start(teardown)
    progress('compared: making networks and ports in Neutron')
    const topology = await controlPlane.seed(planNetworks(warmNetwork))
    progress('compared: starting the sides')

    async function ours(forwarding: Forwarding): Promise<Contender> {
      const network = await BenchNetwork.build(twinOf(topology, forwarding), teardown)
      const side = await OurSide.start({
        topology: network.topology,
        teardown,
        profiler,
        forwarding,
        neutron: controlPlane.neutronUrl,
      })
      const measured: MeasuredSide = {
        pids: () => side.pids(),
        pss: () => side.pss(),
        controlPlane: () => controlPlane.pids(),
      }
      const name = comparedName(forwarding === 'direct' ? 'direct' : 'two-hops')
      return { name, side: 'ours', measured, network, requests: { quick: 2_000, full: 20_000 } }
    }

    const network = await BenchNetwork.build(topology, teardown)
    const peer = await PeerSide.start(controlPlane, network.topology, teardown)
    const theirs = (side: PeerKind, requests: Contender['requests']): Contender => ({
      name: 'compared',
      side,
      measured: peer,
      network,
      requests,
      prepare: () => peer.use(side),
    })
    const contenders: readonly Contender[] = [
      theirs('peer', { quick: 64, full: 400 }),
      theirs('peer-cache', { quick: 640, full: 6_000 }),
      await ours('agent'),
      await ours('direct'),
    ]
    for (const { name, side, network: own, requests, prepare } of contenders) {
      progress(`${name} (${side}): warming up`)
      await prepare?.()
      await warmUp(own.targets(), quick ? requests.quick : requests.full)
    }
    for (const load of warmLoads) {
      for (const contender of contenders) {
        const how = load.keepAlive ? 'keep-alive' : 'new connections'
        progress(`${contender.name} (${contender.side}): ${load.connections} at a time, ${how}`)
        await contender.prepare?.()
        const requests = contender.requests[quick ? 'quick' : 'full']
        const options = { ...load, requests, targets: contender.network.targets() }
        add(await measureLoad(contender.name, contender.side, contender.measured, options))
      }
    }
  },
}
