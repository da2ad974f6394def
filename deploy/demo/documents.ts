import { scopeText } from '../../lib/identity/scope.ts'
import { demoSubnet, scopeOf, type DemoTopology } from './topology.ts'

/** Files and sockets of one run, all in one folder. */
export interface DemoPlaces {
  readonly folder: string
  readonly topologyFile: string
  readonly secretFile: string
  readonly agentConfig: string
  readonly proxyConfig: string
  readonly agentSocket: string
  readonly agentAdminSocket: string
  readonly proxyAdminSocket: string
  /** Holds a link per served namespace, under the name Neutron would give it. */
  readonly netnsFolder: string
  readonly computeTcpPort: number
}

/** Names the files and sockets of a run. */
export function placesIn(folder: string, computeTcpPort: number): DemoPlaces {
  return {
    folder,
    topologyFile: `${folder}/topology.yaml`,
    secretFile: `${folder}/shared-secret`,
    agentConfig: `${folder}/agent.yaml`,
    proxyConfig: `${folder}/proxy.yaml`,
    agentSocket: `${folder}/agent.sock`,
    agentAdminSocket: `${folder}/agent-admin.sock`,
    proxyAdminSocket: `${folder}/proxy-admin.sock`,
    netnsFolder: `${folder}/netns`,
    computeTcpPort,
  }
}

/** What the static port directory and the development compute API read: the networks, routers and instances of the plan. */
export function topologyDocument(topology: DemoTopology): unknown {
  return {
    projects: topology.networks.map((network) => ({
      id: network.projectId,
      name: `project-${network.name}`,
    })),
    networks: topology.networks.map((network) => ({
      id: network.networkId,
      name: network.name,
      project: network.projectId,
      subnets: [
        { cidr: `${demoSubnet.ip}.0/${demoSubnet.bits}` },
        { cidr: `${demoSubnet.ip6}/${demoSubnet.bits6}` },
      ],
    })),
    routers: topology.networks
      .filter((network) => network.routerId !== undefined)
      .map((network) => ({
        id: network.routerId,
        name: `router-of-${network.name}`,
        project: network.projectId,
      })),
    ports: topology.networks
      .filter((network) => network.routerId !== undefined)
      .map((network) => ({
        id: network.ownPortId,
        network: network.networkId,
        mac: network.deviceMac,
        router: network.routerId,
      })),
    instances: topology.networks.flatMap((network) =>
      network.guests.map((guest) => ({
        id: guest.instanceId,
        name: guest.name,
        project: network.projectId,
        meta: { network: network.name, scope: scopeText(scopeOf(network)) },
        user_data: `#cloud-config\nhostname: ${guest.name}\n`,
        key: { name: 'demo', data: `ssh-ed25519 AAAA${guest.portId.replaceAll('-', '')} demo` },
        ports: [
          {
            id: guest.portId,
            network: network.networkId,
            mac: guest.mac,
            fixed_ips: [guest.ip, guest.ip6],
          },
        ],
      })),
    ),
  }
}

/** The agent's configuration for a run. */
export function agentDocument(places: DemoPlaces): unknown {
  return {
    listeners: [{ kind: 'overlapd', socket: places.agentSocket, mode: 'all' }],
    ports: { kind: 'static', static: { file: places.topologyFile } },
    compute: {
      upstreams: [`http://127.0.0.1:${places.computeTcpPort}`],
      shared_secret_file: places.secretFile,
    },
    admin: { socket: places.agentAdminSocket },
  }
}

export interface ProxyDocumentOptions {
  /** Who the workers run as; absent where they stay who they are. */
  readonly workerUser?: string
}

/** The proxy's configuration for a run. */
export function proxyDocument(places: DemoPlaces, options: ProxyDocumentOptions): unknown {
  return {
    netns_dir: places.netnsFolder,
    agents: [places.agentSocket],
    admin: { socket: places.proxyAdminSocket },
    // Whatever else runs on this machine keeps the usual places.
    control: { socket: `${places.folder}/proxy-control.sock` },
    // A demo leaves nothing behind, however it ends.
    restart: { serve_after_crash: '0s' },
    ...(options.workerUser !== undefined && { workers: { user: options.workerUser } }),
  }
}
