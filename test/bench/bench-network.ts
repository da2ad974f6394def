import { buildScenery, removeScenery, runWord } from '../../deploy/demo/scenery.ts'
import { planTopology, type DemoGuest, type DemoTopology } from '../../deploy/demo/topology.ts'
import type { Count } from '../../lib/clock.ts'
import { GuestSockets } from '../support/connect-from.ts'
import type { LoadTarget } from './load.ts'

const metadataAddress = '169.254.169.254'
const path = '/openstack/latest/meta_data.json'

/** Real networks with overlapping addresses, and sockets out of their guests' namespaces. */
export class BenchNetwork {
  readonly topology: DemoTopology
  readonly #sockets: GuestSockets

  private constructor(topology: DemoTopology, sockets: GuestSockets) {
    this.topology = topology
    this.#sockets = sockets
  }

  static async build(networks: Count, guests: Count): Promise<BenchNetwork> {
    // Namespaces are entered from here, so this comes before anything that could start a thread.
    const sockets = await GuestSockets.open()
    const topology = planTopology({ networks, guests, run: runWord(process.pid) })
    await buildScenery(topology)
    return new BenchNetwork(topology, sockets)
  }

  get guests(): readonly DemoGuest[] {
    return this.topology.networks.flatMap((network) => network.guests)
  }

  targetOf(guest: DemoGuest): LoadTarget {
    return {
      connect: () => this.#sockets.connect(guest.netns, metadataAddress, 80),
      path,
      expected: `"uuid": "${guest.instanceId}"`,
    }
  }

  async remove(): Promise<void> {
    this.#sockets.close()
    await removeScenery(this.topology.run)
  }
}
