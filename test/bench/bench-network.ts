import {
  setUpNetworks,
  namespacesOf,
  removeNamespaces,
  runWord,
} from '../../deploy/demo/network-setup.ts'
import { planTopology, type DemoGuest, type DemoTopology } from '../../deploy/demo/topology.ts'
import type { Count } from '../../lib/runtime/clock.ts'
import { GuestSockets } from '../support/connect-from.ts'
import type { LoadTarget } from './guest-request.ts'
import type { Teardown } from './teardown.ts'

const metadataAddress = '169.254.169.254'
const usualPath = '/openstack/latest/meta_data.json'

/** How much scenery. */
export interface NetworkPlan {
  readonly networks: Count
  /** Spread evenly over the networks. */
  readonly guests: Count
}

/** Plans networks whose addresses overlap. With fewer guests than networks, the last networks have none. */
export function planNetworks({ networks, guests }: NetworkPlan): DemoTopology {
  const topology = planTopology({ networks, guests, run: runWord(process.pid) })
  return {
    ...topology,
    networks: topology.networks.map((network, index) =>
      index < guests ? network : { ...network, guests: [] },
    ),
  }
}

/** The same networks and guests in namespaces of other names, so that two sides can serve them side by side. */
export function twinOf(topology: DemoTopology, word: string): DemoTopology {
  const renamed = (netns: string): string =>
    netns.replace(`${topology.run}-`, `${topology.run}-${word}-`)
  return {
    ...topology,
    host: renamed(topology.host),
    networks: topology.networks.map((network) => ({
      ...network,
      netns: renamed(network.netns),
      guests: network.guests.map((guest) => ({ ...guest, netns: renamed(guest.netns) })),
    })),
  }
}

/** Where guests of one namespace each connect from. */
export function targetFrom(
  sockets: GuestSockets,
  guest: Pick<DemoGuest, 'netns' | 'instanceId'>,
  path = usualPath,
): LoadTarget {
  return {
    connect: () => sockets.connect(guest.netns, metadataAddress, 80),
    path,
    expected: `"uuid": "${guest.instanceId}"`,
  }
}

/** Real networks with overlapping addresses, and sockets out of their guests' namespaces. */
export class BenchNetwork {
  readonly topology: DemoTopology
  readonly #sockets: GuestSockets
  readonly #remove: () => Promise<void>

  private constructor(topology: DemoTopology, sockets: GuestSockets, remove: () => Promise<void>) {
    this.topology = topology
    this.#sockets = sockets
    this.#remove = remove
  }

  static async build(topology: DemoTopology, teardown: Teardown): Promise<BenchNetwork> {
    const sockets = await GuestSockets.open()
    const remove = teardown.add(async () => {
      sockets.close()
      await removeNamespaces(namespacesOf(topology))
    })
    await setUpNetworks(topology)
    return new BenchNetwork(topology, sockets, remove)
  }

  get guests(): readonly DemoGuest[] {
    return this.topology.networks.flatMap((network) => network.guests)
  }

  /** How to ask as each of these guests. @param guests all of them by default */
  targets(guests = this.guests): readonly LoadTarget[] {
    return guests.map((guest) => this.targetOf(guest))
  }

  targetOf(guest: DemoGuest, path = usualPath): LoadTarget {
    return targetFrom(this.#sockets, guest, path)
  }

  async remove(): Promise<void> {
    await this.#remove()
  }
}

/** Keeps the last network for the next scenario that wants the same, since building one takes longer than many loads. */
export class SharedNetwork {
  readonly #teardown: Teardown
  #held: { readonly wanted: string; readonly network: BenchNetwork } | undefined

  constructor(teardown: Teardown) {
    this.#teardown = teardown
  }

  async get(plan: NetworkPlan): Promise<BenchNetwork> {
    const wanted = JSON.stringify(plan)
    if (this.#held?.wanted !== wanted) {
      await this.remove()
      const network = await BenchNetwork.build(planNetworks(plan), this.#teardown)
      this.#held = { wanted, network }
    }
    return this.#held.network
  }

  async remove(): Promise<void> {
    await this.#held?.network.remove()
    this.#held = undefined
  }
}
