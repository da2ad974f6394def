import type { Stage } from './stage.ts'
import type { DemoGuest } from './topology.ts'
import type { Visit } from './visits.ts'

/** What `--state` writes: everything another tool needs to drive the demo. */
export function stateDocument(stage: Stage, visits: readonly Visit[]): unknown {
  const verdictOf = (guest: DemoGuest): string | null => {
    const own = visits.filter((visit) => visit.guest === guest).map(({ verdict }) => verdict)
    return own.find((verdict) => verdict !== 'own metadata') ?? own[0] ?? null
  }
  return {
    kind: stage.kind,
    guests: stage.topology.networks.flatMap((network) =>
      network.guests.map((guest) => ({
        name: guest.name,
        netns: stage.kind === 'namespaces' ? guest.netns : null,
        ip: guest.ip,
        ip6: guest.ip6,
        mac: guest.mac,
        networkId: network.networkId,
        networkName: network.name,
        routerId: network.routerId ?? null,
        projectId: network.projectId,
        instanceId: guest.instanceId,
        serviceNetns: stage.kind === 'namespaces' ? network.netns : null,
        url: stage.questionsOf(guest)[0]?.url ?? null,
        url6: stage.questionsOf(guest)[1]?.url ?? null,
        verdict: verdictOf(guest),
      })),
    ),
    sockets: {
      agent: stage.places.agentSocket,
      agentAdmin: stage.places.agentAdminSocket,
      proxyAdmin: stage.places.proxyAdminSocket,
    },
    files: {
      topology: stage.places.topologyFile,
      agentConfig: stage.places.agentConfig,
      proxyConfig: stage.places.proxyConfig,
      netnsFolder: stage.places.netnsFolder,
    },
    computeUrl: `http://127.0.0.1:${stage.places.computeTcpPort}`,
    pids: stage.pids,
  }
}
