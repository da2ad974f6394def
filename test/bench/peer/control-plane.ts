import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DemoNetwork, DemoTopology } from '../../../deploy/demo/topology.ts'
import { inParallel } from '../../../deploy/demo/run-command.ts'
import { pidOf, stopAll } from '../../openstack/daemon.ts'
import { NeutronApi, type ShownPort } from '../../openstack/neutron-api.ts'
import { makePlace, urlOf, type Place } from '../../openstack/place.ts'
import { startMariaDb } from '../../openstack/services/mariadb.ts'
import { neutronReady, prepareNeutron, startNeutron } from '../../openstack/services/neutron.ts'
import {
  createInstances,
  prepareNova,
  startNova,
  type NovaInstance,
} from '../../openstack/services/nova.ts'
import { rabbitMqReady, startRabbitMq } from '../../openstack/services/rabbitmq.ts'
import { processTree, type NamedPids } from '../process-figures.ts'
import type { Teardown } from '../teardown.ts'

const apiCallsAtOnce = 2

/** A real neutron-server with RabbitMQ and MariaDB, as the peer needs it. */
export class ControlPlane {
  readonly place: Place

  readonly #hasNova: boolean

  private constructor(place: Place, hasNova: boolean) {
    this.place = place
    this.#hasNova = hasNova
  }

  /** @param hasNova with Nova's metadata API behind uWSGI as well, and an instance for each guest */
  static async start(teardown: Teardown, hasNova = false): Promise<ControlPlane> {
    // Never one that somebody else has up.
    const place = await makePlace(await mkdtemp(join(tmpdir(), 'overlapd-bench-openstack-')))
    teardown.add(async () => {
      await stopAll(place)
      await rm(place.folder, { recursive: true, force: true })
    })
    startRabbitMq(place)
    await startMariaDb(place)
    await prepareNeutron(place, 'neutron')
    if (hasNova) await prepareNova(place)
    await rabbitMqReady(place)
    startNeutron(place, 'neutron')
    await neutronReady(place, 'neutron')
    if (hasNova) await startNova(place)
    return new ControlPlane(place, hasNova)
  }

  /** Of the HTTP API, which asks for no token. */
  get neutronUrl(): string {
    return urlOf(this.place, 'neutron')
  }

  pids(): NamedPids {
    const nova = this.#hasNova ? { nova: 'novaUwsgi' } : {}
    const shown = { 'neutron-server': 'neutron', rabbitmq: 'rabbitmq', mariadb: 'mariadb', ...nova }
    return new Map(
      Object.entries(shown).map(([shown, name]) => {
        const pid = pidOf(this.place, name)
        return [shown, pid === undefined ? [] : processTree(pid)]
      }),
    )
  }

  /** Makes the plan's networks, routers and ports. @returns the plan with the ids that Neutron chose */
  async seed(topology: DemoTopology): Promise<DemoTopology> {
    const api = new NeutronApi(this.place, 'neutron')
    const networks = await inParallel(topology.networks, apiCallsAtOnce, (network) =>
      seedNetwork(api, network),
    )
    if (this.#hasNova) await createInstances(this.place, networks.flatMap(novaInstances))
    return { ...topology, networks }
  }
}

function novaInstances(network: DemoNetwork): readonly NovaInstance[] {
  return network.guests.map((guest) => ({
    id: guest.instanceId,
    name: guest.name,
    projectId: network.projectId,
    userData: `#cloud-config\n# ${guest.instanceId}\n`,
    port: {
      id: guest.portId,
      mac: guest.mac,
      ip: guest.ip,
      ip6: guest.ip6,
      networkId: network.networkId,
      networkName: network.name,
      hasGateway: network.routerId !== undefined,
    },
  }))
}

async function seedNetwork(api: NeutronApi, network: DemoNetwork): Promise<DemoNetwork> {
  const { name, projectId } = network
  const isRouted = network.routerId !== undefined
  const networkId = await api.network({ name, project_id: projectId })
  const common = { network_id: networkId, project_id: projectId }
  const subnets = [
    await api.subnet({
      ...common,
      ip_version: 4,
      cidr: '10.0.0.0/24',
      gateway_ip: isRouted ? '10.0.0.1' : null,
    }),
    await api.subnet({
      ...common,
      ip_version: 6,
      cidr: 'fd00::/64',
      gateway_ip: isRouted ? 'fd00::1' : null,
      enable_dhcp: false,
    }),
  ]
  const [subnet4, subnet6] = subnets
  const routerId = isRouted ? await api.router(`router-of-${name}`, projectId, subnets) : undefined
  const [routerPort] = routerId === undefined ? [] : await routerPorts(api, routerId)
  const ports = await api.ports(
    network.guests.map((guest) => ({
      ...common,
      device_owner: 'compute:nova',
      device_id: guest.instanceId,
      mac_address: guest.mac,
      fixed_ips: [
        { subnet_id: subnet4, ip_address: guest.ip },
        { subnet_id: subnet6, ip_address: guest.ip6 },
      ],
    })),
  )
  const portIds = new Map(ports.map((port) => [port.device_id, port.id]))
  return {
    ...network,
    networkId,
    ...(routerId !== undefined && { routerId }),
    ...(routerPort !== undefined && {
      ownPortId: routerPort.id,
      device: `qr-${routerPort.id.slice(0, 11)}`,
      deviceMac: routerPort.mac_address,
    }),
    neutronName: routerId === undefined ? `qdhcp-${networkId}` : `qrouter-${routerId}`,
    guests: network.guests.map((guest) => ({
      ...guest,
      portId: portIds.get(guest.instanceId) ?? guest.portId,
    })),
  }
}

/** The router's interface towards the guests: the agent trusts the name that Neutron's L3 agent gives it, and no other. */
async function routerPorts(api: NeutronApi, routerId: string): Promise<readonly ShownPort[]> {
  return await api.findPorts(`device_id=${routerId}&fixed_ips=ip_address%3D10.0.0.1`)
}
