/** Where guests sit: routers whose networks all look alike, several guests behind each, sockets out of every one. */
import { symlinkSync, unlinkSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { MacAddress } from '../../lib/identity/mac-address.ts'
import type { NetworkId, RouterId } from '../../lib/identity/ids.ts'
import { mac, networkId, portId, routerId, type RouterPort } from '../conformance/topology.ts'
import { ip, projectId, type Topology } from '../conformance/topology.ts'
import { GuestSockets } from '../support/connect-from.ts'
import { deleteNetns, ipBatch, makeEmptyNamespaces, uniqueName } from '../support/netns.ts'
import { RawConnection } from '../support/raw-http.ts'
import type { Teardowns } from '../support/teardowns.ts'

/** A guest's interface behind a router. Whose it is, is for a topology to say. */
export interface Seat {
  /** Counts from 1; the router, its network and its namespace have this number. */
  readonly router: number
  readonly netns: string
  readonly macAddress: MacAddress
  /** All on its interface; the same ones exist behind every router. */
  readonly addresses: readonly string[]
}

export interface SeatsOptions {
  readonly routers: number
  readonly guestsPerRouter: number
  readonly addressesPerGuest: number
}

/** All seats of a host. */
export class GuestSeats {
  readonly all: readonly Seat[]
  /** Names of the routers' namespaces under /run/netns, the first router's first. */
  readonly namespaces: readonly string[]
  readonly #sockets: GuestSockets

  private constructor(sockets: GuestSockets, namespaces: readonly string[], all: readonly Seat[]) {
    this.#sockets = sockets
    this.namespaces = namespaces
    this.all = all
  }

  /** Makes the namespaces, which go with the teardown. Call it before anything else makes threads. */
  static async make(t: Teardowns, options: SeatsOptions): Promise<GuestSeats> {
    const sockets = await GuestSockets.open()
    t.teardown(() => sockets.close())
    const namespaces: string[] = []
    const seats: Seat[] = []
    for (let router = 1; router <= options.routers; router += 1) {
      const netns = uniqueName('ovt-router-')
      namespaces.push(netns)
      makeEmptyNamespaces(t, [netns])
      makeRouter(netns, router)
      for (let guest = 0; guest < options.guestsPerRouter; guest += 1) {
        const seat: Seat = {
          router,
          netns: uniqueName('ovt-guest-'),
          macAddress: mac(router * 256 + guest + 1),
          addresses: Array.from(
            { length: options.addressesPerGuest },
            (_, index) => `10.0.0.${10 + guest * options.addressesPerGuest + index}`,
          ),
        }
        makeEmptyNamespaces(t, [seat.netns])
        plugGuest(netns, seat, guest)
        seats.push(seat)
      }
    }
    return new GuestSeats(sockets, namespaces, seats)
  }

  /** Lets a proxy discover them under the names that Neutron would give them. */
  nameIn(folder: string): void {
    for (const index of this.namespaces.keys()) this.#name(index + 1, folder)
  }

  /** Deletes a router's namespace under its guests, as Neutron does with one that nobody uses. */
  remove(router: number, folder: string): void {
    unlinkSync(join(folder, `qrouter-${routerId(router)}`))
    // A namespace is taken apart in the background; its guests' interfaces must be gone before they are made again.
    for (const { netns } of this.all.filter((seat) => seat.router === router)) {
      ipBatch(['link delete eth0'], netns)
    }
    deleteNetns(this.#netnsOf(router))
  }

  /** Makes it again, with the same guests behind it. */
  makeAgain(router: number, folder: string): void {
    const netns = this.#netnsOf(router)
    ipBatch([`netns add ${netns}`])
    makeRouter(netns, router)
    const seats = this.all.filter((seat) => seat.router === router)
    for (const [guest, seat] of seats.entries()) plugGuest(netns, seat, guest)
    this.#name(router, folder)
  }

  #netnsOf(router: number): string {
    return this.namespaces[router - 1] ?? ''
  }

  #name(router: number, folder: string): void {
    symlinkSync(`/run/netns/${this.#netnsOf(router)}`, join(folder, `qrouter-${routerId(router)}`))
  }

  /** A connection to the metadata address that is under way; refusals come as its end. */
  socket(seat: Seat, from = seat.addresses[0]): Socket {
    return this.#sockets.connect(seat.netns, '169.254.169.254', 80, 0, from)
  }

  connect(seat: Seat, from?: string): RawConnection {
    return RawConnection.wrap(this.socket(seat, from))
  }
}

/** A router has its bridge for an interface, named as Neutron names it, so that several guests are on one link. */
function makeRouter(netns: string, router: number): void {
  const { macAddress } = routerPort(router)
  const name = routerInterface(router)
  ipBatch(
    [
      'link set lo up',
      `link add ${name} address ${macAddress} type bridge`,
      `link set ${name} up`,
      `addr add 10.0.0.1/24 dev ${name}`,
    ],
    netns,
  )
}

function plugGuest(netns: string, seat: Seat, guest: number): void {
  const outside = `tap${guest}`
  ipBatch([
    `link add name ${outside} netns ${netns} type veth peer name eth0 address ${seat.macAddress} netns ${seat.netns}`,
  ])
  const link = routerInterface(seat.router)
  ipBatch([`link set ${outside} master ${link}`, `link set ${outside} up`], netns)
  ipBatch(
    [
      'link set lo up',
      'link set eth0 up',
      ...seat.addresses.map((address) => `addr add ${address}/24 dev eth0`),
      'route add default via 10.0.0.1 dev eth0',
    ],
    seat.netns,
  )
}

function routerInterface(router: number): string {
  return `qr-${routerPort(router).portId.slice(0, 11)}`
}

/** The router's own port on its network. */
function routerPort(router: number): RouterPort {
  return {
    portId: portId(0x9000 + router),
    networkId: networkId(router),
    macAddress: mac(0x9000 + router),
    fixedIps: [ip('10.0.0.1')],
    deviceOwner: 'network:router_interface',
  }
}

/** The networks and routers of seats, without any guest's port. */
export function emptyTopology(routers: number): Omit<Topology, 'ports'> {
  const numbers = Array.from({ length: routers }, (_, index) => index + 1)
  return {
    networks: numbers.map(
      (number): { networkId: NetworkId; projectId: ReturnType<typeof projectId> } => ({
        networkId: networkId(number),
        projectId: projectId(number),
      }),
    ),
    routers: numbers.map((number): Topology['routers'][number] & { routerId: RouterId } => ({
      routerId: routerId(number),
      projectId: projectId(number),
      ports: [routerPort(number)],
    })),
  }
}
