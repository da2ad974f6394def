import { randomUUID } from 'node:crypto'
import type { Count } from '../../lib/runtime/clock.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import { parseNetworkId, parseRouterId } from '../../lib/identity/ids.ts'

/** A guest of the demo: a namespace with one interface, and the instance it should turn out to be. */
export interface DemoGuest {
  readonly name: string
  readonly netns: string
  readonly ip: string
  readonly ip6: string
  readonly mac: string
  readonly portId: string
  readonly instanceId: string
}

/** A tenant's network with the namespace that serves it: a router's, or the DHCP server's where there is no router. */
export interface DemoNetwork {
  readonly name: string
  readonly networkId: string
  readonly projectId: string
  readonly routerId?: string
  /** Namespace in which the proxy listens. */
  readonly netns: string
  /** What Neutron would call that namespace; the proxy reads the identity from it. */
  readonly neutronName: string
  /** The port of the router or DHCP server, after which its interface is named. */
  readonly ownPortId: string
  /** The interface towards the guests, and its MAC. */
  readonly device: string
  readonly deviceMac: string
  readonly guests: readonly DemoGuest[]
}

/** Everything that one run of the demo builds. */
export interface DemoTopology {
  /** Short word that all namespaces of this run begin with. */
  readonly run: string
  /** Namespace that stands for the host: devices are made there and moved to where they belong. */
  readonly host: string
  readonly networks: readonly DemoNetwork[]
}

export interface TopologyOptions {
  /** Guests in all, spread evenly; at least one a network. */
  readonly guests: Count
  /** Networks in all; from three on, the last one has no router. */
  readonly networks: Count
  readonly run: string
}

/** Every network uses the same prefix, and the first guest of each the same address. */
export const demoSubnet = { ip: '10.0.0', bits: 24, ip6: 'fd00::', bits6: 64 } as const

const mostGuestsPerNetwork = 200

function macOf(kind: number, index: number): string {
  const octets = [0xfa, 0x16, 0x3e, kind, (index >> 8) & 0xff, index & 0xff]
  return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':')
}

/** `a`, `b`, … `z`, `aa`, …: networks are distinguished by letters, since their addresses cannot do it. */
function letters(index: number): string {
  const rest = Math.floor(index / 26)
  return (rest > 0 ? letters(rest - 1) : '') + String.fromCharCode(97 + (index % 26))
}

/**
 * Plans the networks of the demo without touching anything.
 * @throws RangeError when a network would have to hold more than 200 guests
 */
export function planTopology(options: TopologyOptions): DemoTopology {
  const perNetwork = Math.max(1, Math.ceil(options.guests / options.networks))
  if (perNetwork > mostGuestsPerNetwork) {
    throw new RangeError(
      `Cannot place ${options.guests} guests on ${options.networks} networks: at most ${mostGuestsPerNetwork} fit on one`,
    )
  }
  const total = Math.max(options.guests, options.networks)
  const networks: DemoNetwork[] = []
  let placed = 0
  for (let index = 0; index < options.networks; index += 1) {
    const name = letters(index)
    const isolated = options.networks >= 3 && index === options.networks - 1
    const here = Math.ceil((total - placed) / (options.networks - index))
    networks.push(
      planNetwork({ name, index, isolated, first: placed, guests: here, run: options.run }),
    )
    placed += here
  }
  return { run: options.run, host: `${options.run}-host`, networks }
}

interface NetworkPlan {
  readonly name: string
  readonly index: number
  readonly isolated: boolean
  /** Guests planned before this network; keeps MACs unique, as Neutron does. */
  readonly first: number
  readonly guests: Count
  readonly run: string
}

function planNetwork(plan: NetworkPlan): DemoNetwork {
  const networkId = randomUUID()
  const routerId = plan.isolated ? undefined : randomUUID()
  const word = plan.isolated ? 'isolated' : plan.name
  const guests = Array.from({ length: plan.guests }, (_, position): DemoGuest => {
    const host = 10 + position
    const suffix = plan.guests === 1 ? '' : `-${position + 1}`
    return {
      name: `vm-${word}${suffix}`,
      netns: `${plan.run}-vm-${word}${suffix}`,
      ip: `${demoSubnet.ip}.${host}`,
      ip6: `${demoSubnet.ip6}${host}`,
      mac: macOf(0, plan.first + position),
      portId: randomUUID(),
      instanceId: randomUUID(),
    }
  })
  const ownPortId = randomUUID()
  const device = `${routerId === undefined ? 'tap' : 'qr-'}${ownPortId.slice(0, 11)}`
  return {
    name: `net-${word}`,
    networkId,
    projectId: randomUUID().replaceAll('-', ''),
    ...(routerId !== undefined && { routerId }),
    netns: `${plan.run}-${routerId === undefined ? 'dhcp' : 'router'}-${word}`,
    neutronName: routerId === undefined ? `qdhcp-${networkId}` : `qrouter-${routerId}`,
    ownPortId,
    device,
    deviceMac: macOf(1, plan.index),
    guests,
  }
}

/** The scope in which the network's guests are looked up. @throws TypeError never for planned networks */
export function scopeOf(network: DemoNetwork): Scope {
  const routerId = parseRouterId(network.routerId)
  if (routerId !== undefined) return { kind: 'router', routerId }
  const networkId = parseNetworkId(network.networkId)
  if (networkId === undefined) throw new TypeError(`"${network.networkId}" is no network id`)
  return { kind: 'network', networkId }
}
