/** A small cloud made at random: networks that several tenants share, routers on some of them, and who sits where. */
import type { Port, RouterInterface } from '../../agent-side/ports/directory/port-directory.ts'
import type { SourceMacPolicy } from '../../agent-side/resolve/identity-policy.ts'
import {
  routedRules,
  type NetworkPolicyEntry,
  type RoutedPolicy,
  type RoutedRules,
} from '../../agent-side/resolve/routed-policy.ts'
import type { InstanceId, NetworkId, PortId, RouterId } from '../../lib/identity/ids.ts'
import { parseInstanceId, parsePortId } from '../../lib/identity/ids.ts'
import { instanceId, ip, mac, networkId, projectId, routerId } from '../conformance/topology.ts'
import type { SeededRandom } from '../support/random.ts'

/** A machine with one interface. Ours to know, not the directory's. */
export interface Seat {
  readonly port: Port
  /** False: it can send any address and any MAC into its network. So can the machine of a port that was deleted. */
  readonly isSecured: boolean
}

export interface CloudRouter {
  readonly routerId: RouterId
  readonly interfaces: readonly (RouterInterface & { readonly portId: PortId })[]
  /** As the directory lists them among the ports. */
  readonly ports: readonly Port[]
}

/** How the operator has set the agent. */
export interface CloudPolicy {
  readonly sourceMac: SourceMacPolicy
  readonly routed: RoutedPolicy
  readonly entries: readonly NetworkPolicyEntry[]
  readonly rules: RoutedRules
}

/** Few numbers, so that the same address stands for many: subnets overlap, and MACs repeat from network to network. */
const hosts = 6
const macs = 14

/** One cloud, changed from tick to tick. */
export class IdentityCloud {
  readonly networks: readonly NetworkId[]
  readonly routers: readonly CloudRouter[]
  readonly policy: CloudPolicy
  readonly seats: Seat[] = []
  /** Machines whose port is gone and that are still plugged in. */
  readonly ghosts: Seat[] = []
  readonly #random: SeededRandom
  #lastNumber = 0

  constructor(random: SeededRandom) {
    this.#random = random
    this.networks = Array.from({ length: 3 + random.below(4) }, (_, index) => networkId(index + 1))
    this.routers = Array.from({ length: 2 + random.below(4) }, (_, index) =>
      this.#makeRouter(index + 1),
    )
    this.policy = this.#makePolicy()
    for (let count = 8 + random.below(16); count > 0; count -= 1) this.addPort()
  }

  /** Every port that the directory knows. */
  get ports(): readonly Port[] {
    return [...this.seats.map(({ port }) => port), ...this.routers.flatMap(({ ports }) => ports)]
  }

  routersOn(network: NetworkId): readonly CloudRouter[] {
    return this.routers.filter(({ interfaces }) =>
      interfaces.some((one) => one.networkId === network),
    )
  }

  /** One more port, often of an instance that has one already. Neutron gives no address and no MAC twice on a network. */
  addPort(): Port | undefined {
    const random = this.#random
    const network = random.pick(this.networks)
    const here = this.ports.filter((port) => port.networkId === network)
    const macAddress = mac(1 + random.below(macs))
    const fixedIps = [
      ip(`10.0.0.${10 + random.below(hosts)}`),
      ip(`fd00::${10 + random.below(hosts)}`),
    ]
    const isTaken = here.some(
      (port) =>
        port.macAddress === macAddress || port.fixedIps.some((one) => fixedIps.includes(one)),
    )
    if (isTaken) return undefined
    const known =
      this.seats.length > 0 && random.chance(20) ? random.pick(this.seats).port : undefined
    const number = (this.#lastNumber += 1)
    const port: Port = {
      portId: portIdOf(number),
      networkId: network,
      macAddress,
      fixedIps,
      instanceId: known?.instanceId ?? instanceId(number),
      projectId: known?.projectId ?? projectId(1 + random.below(4)),
      deviceOwner: 'compute:nova',
    }
    this.seats.push({ port, isSecured: random.chance(60) })
    return port
  }

  /** Deletes a port; its machine may stay plugged in. */
  removePort(): Port | undefined {
    if (this.seats.length < 3) return undefined
    const [gone] = this.seats.splice(this.#random.below(this.seats.length), 1)
    if (gone === undefined) return undefined
    if (this.#random.chance(50)) this.ghosts.push({ ...gone, isSecured: false })
    return gone.port
  }

  hasInstanceOn(instance: InstanceId, networks: readonly NetworkId[]): boolean {
    return this.seats.some(
      ({ port }) => port.instanceId === instance && networks.includes(port.networkId),
    )
  }

  #makeRouter(number: number): CloudRouter {
    const random = this.#random
    const joined = this.networks.filter(() => random.chance(45))
    const networks = joined.length > 0 ? joined : [random.pick(this.networks)]
    const interfaces = networks.map((network, index) => ({
      networkId: network,
      portId: portIdOf(100_000 + number * 100 + index),
    }))
    const deviceId = parseInstanceId(routerId(number))
    const ports = interfaces.map((one, index): Port => ({
      ...one,
      macAddress: mac(0x10_00_00 + number * 100 + index),
      fixedIps: [ip(`10.0.0.${number}`)],
      ...(deviceId !== undefined && { instanceId: deviceId }),
      projectId: projectId(number),
      deviceOwner: 'network:router_interface',
    }))
    return { routerId: routerId(number), interfaces, ports }
  }

  #makePolicy(): CloudPolicy {
    const random = this.#random
    const sourceMac = random.pick(['off', 'prefer', 'prefer', 'verify', 'verify'] as const)
    const routed = random.pick(['refuse', 'by_address'] as const)
    const entries = this.networks.flatMap((network): NetworkPolicyEntry[] =>
      random.chance(70)
        ? []
        : [
            {
              network,
              ...(random.chance(60) && { routed: random.pick(['refuse', 'by_address'] as const) }),
              behind: this.networks.filter(() => random.chance(40)),
            },
          ],
    )
    return { sourceMac, routed, entries, rules: routedRules(routed, entries) }
  }
}

/** Port ids differ in their first characters, as Neutron's do. */
function portIdOf(number: number): PortId {
  const text = `${number.toString(16).padStart(8, '0')}-c0de-4000-8000-000000000000`
  const parsed = parsePortId(text)
  if (parsed === undefined) throw new TypeError(`"${text}" is no port id`)
  return parsed
}
