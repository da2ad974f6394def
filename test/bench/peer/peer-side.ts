import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { DemoTopology } from '../../../deploy/demo/topology.ts'
import { pidOf } from '../../openstack/daemon.ts'
import { neutronAgentSocket, startNeutronAgent } from '../../openstack/services/neutron.ts'
import type { MeasuredSide } from '../measured-load.ts'
import { processTree, pssOfAll, type NamedPids } from '../process-figures.ts'
import type { Side, UpstreamKind } from '../row.ts'
import type { Teardown } from '../teardown.ts'
import type { ControlPlane } from './control-plane.ts'
import { Haproxies } from './haproxies.ts'
import { redirect } from './redirect.ts'

/** Neutron's metadata agent without and with its cache. */
export type PeerKind = Extract<Side, 'peer' | 'peer-cache'>

function agentName(kind: PeerKind, upstream: UpstreamKind): string {
  return `bench-${kind}-${upstream}`
}

/** haproxy in each namespace, and two of Neutron's metadata agents for each compute service behind it, of which one is in use at a time. */
export class PeerSide implements MeasuredSide {
  readonly #controlPlane: ControlPlane
  readonly #haproxies: Haproxies
  readonly #socket: string
  #agent = agentName('peer', 'keeps')

  private constructor(controlPlane: ControlPlane, haproxies: Haproxies, socket: string) {
    this.#controlPlane = controlPlane
    this.#haproxies = haproxies
    this.#socket = socket
  }

  /** @param computes the TCP ports of the compute services, on loopback */
  static async start(
    controlPlane: ControlPlane,
    topology: DemoTopology,
    computes: ReadonlyMap<UpstreamKind, number>,
    teardown: Teardown,
  ): Promise<PeerSide> {
    const { place } = controlPlane
    for (const [kind, novaTcpPort] of computes) {
      for (const peer of ['peer', 'peer-cache'] satisfies PeerKind[]) {
        const hasCache = peer === 'peer-cache'
        await startNeutronAgent(place, { name: agentName(peer, kind), hasCache, novaTcpPort })
      }
    }
    const socket = join(place.folder, 'bench-agent-in-use.sock')
    const haproxies = await Haproxies.configure(topology.networks, socket, teardown)
    await redirect(topology.networks, '-A')
    await haproxies.start()
    return new PeerSide(controlPlane, haproxies, socket)
  }

  /** Puts one of the agents behind all haproxies: they connect anew for each request. */
  async use(kind: PeerKind, upstream: UpstreamKind): Promise<void> {
    this.#agent = agentName(kind, upstream)
    const next = `${this.#socket}.next`
    await rm(next, { force: true })
    await symlink(neutronAgentSocket(this.#controlPlane.place, this.#agent), next)
    await rename(next, this.#socket)
  }

  pids(): NamedPids {
    const agent = pidOf(this.#controlPlane.place, this.#agent)
    return new Map([
      ['agent', agent === undefined ? [] : processTree(agent)],
      ['haproxy', this.#haproxies.pids()],
    ])
  }

  pss(): number {
    return pssOfAll(this.pids())
  }

  controlPlane(): NamedPids {
    return this.#controlPlane.pids()
  }
}
