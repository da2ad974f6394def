import type { DemoEnvironment } from './environment.ts'
import type { DemoGuest } from './topology.ts'
import type { GuestCheck } from './guest-checks.ts'

/** What `--state` writes: everything another tool needs to drive the demo. */
export function stateDocument(demo: DemoEnvironment, checks: readonly GuestCheck[]): unknown {
  const verdictOf = (guest: DemoGuest): string | null => {
    const own = checks.filter((check) => check.guest === guest).map(({ verdict }) => verdict)
    return own.find((verdict) => verdict !== 'own metadata') ?? own[0] ?? null
  }
  return {
    kind: demo.kind,
    guests: demo.topology.networks.flatMap((network) =>
      network.guests.map((guest) => ({
        name: guest.name,
        netns: demo.kind === 'namespaces' ? guest.netns : null,
        ip: guest.ip,
        ip6: guest.ip6,
        mac: guest.mac,
        networkId: network.networkId,
        networkName: network.name,
        routerId: network.routerId ?? null,
        projectId: network.projectId,
        instanceId: guest.instanceId,
        serviceNetns: demo.kind === 'namespaces' ? network.netns : null,
        url: demo.requestsOf(guest)[0]?.url ?? null,
        url6: demo.requestsOf(guest)[1]?.url ?? null,
        verdict: verdictOf(guest),
      })),
    ),
    sockets: {
      agent: demo.places.agentSocket,
      agentAdmin: demo.places.agentAdminSocket,
      proxyAdmin: demo.places.proxyAdminSocket,
    },
    files: {
      topology: demo.places.topologyFile,
      agentConfig: demo.places.agentConfig,
      proxyConfig: demo.places.proxyConfig,
      netnsFolder: demo.places.netnsFolder,
    },
    computeUrl: `http://127.0.0.1:${demo.places.computeTcpPort}`,
    pids: demo.pids,
  }
}
