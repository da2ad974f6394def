import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { inParallel, runCommand } from '../../../deploy/demo/run-command.ts'
import type { DemoTopology } from '../../../deploy/demo/topology.ts'
import { pidOf } from '../../openstack/daemon.ts'
import { l3AgentRules } from '../../openstack/guest-networks.ts'
import { neutronAgentSocket, startNeutronAgent } from '../../openstack/services/neutron.ts'
import { BenchProcess } from '../bench-process.ts'
import type { UpstreamStarted } from '../constant-upstream.ts'
import type { MeasuredSide } from '../measured-load.ts'
import { processTree, pssOfAll, type NamedPids } from '../process-figures.ts'
import type { Side } from '../row.ts'
import type { Teardown } from '../teardown.ts'
import type { ControlPlane } from './control-plane.ts'
import { Haproxies } from './haproxies.ts'

/** Neutron's metadata agent without and with its cache. */
export type PeerKind = Exclude<Side, 'ours'>

const agents = {
  peer: { name: 'bench-agent', hasCache: false },
  'peer-cache': { name: 'bench-agent-cache', hasCache: true },
} as const satisfies Record<PeerKind, object>

/** haproxy in each namespace, and two of Neutron's metadata agents behind it, of which one is in use at a time. */
export class PeerSide implements MeasuredSide {
  readonly #controlPlane: ControlPlane
  readonly #haproxies: Haproxies
  readonly #socket: string
  #kind: PeerKind = 'peer'

  private constructor(controlPlane: ControlPlane, haproxies: Haproxies, socket: string) {
    this.#controlPlane = controlPlane
    this.#haproxies = haproxies
    this.#socket = socket
  }

  static async start(
    controlPlane: ControlPlane,
    topology: DemoTopology,
    teardown: Teardown,
  ): Promise<PeerSide> {
    const { place } = controlPlane
    const upstream = await BenchProcess.start<UpstreamStarted>(
      'constant-upstream.js',
      { host: '127.0.0.1', tcpPort: 0 },
      teardown,
    )
    for (const agent of Object.values(agents)) {
      await startNeutronAgent(place, { ...agent, novaTcpPort: upstream.started.tcpPort })
    }
    const socket = join(place.folder, 'bench-agent-in-use.sock')
    const haproxies = await Haproxies.configure(topology.networks, socket, teardown)
    await inParallel(topology.networks, 2, async ({ netns, routerId }) => {
      if (routerId === undefined) return
      for (const rule of l3AgentRules('-A')) {
        await runCommand('ip', ['netns', 'exec', netns, ...rule])
      }
    })
    await haproxies.start()
    const side = new PeerSide(controlPlane, haproxies, socket)
    await side.use('peer')
    return side
  }

  /** Puts the agent with or without cache behind all haproxies: they connect anew for each request. */
  async use(kind: PeerKind): Promise<void> {
    const next = `${this.#socket}.next`
    await rm(next, { force: true })
    await symlink(neutronAgentSocket(this.#controlPlane.place, agents[kind].name), next)
    await rename(next, this.#socket)
    this.#kind = kind
  }

  pids(): NamedPids {
    const agent = pidOf(this.#controlPlane.place, agents[this.#kind].name)
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
