import type { MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import type { SeededRandom } from '../../support/random.ts'
import {
  instanceId,
  ip,
  networkId,
  portId,
  projectId,
  type Topology,
} from '../../conformance/topology.ts'
import type { TopologyPort } from '../../conformance/topology.ts'
import { emptyTopology, type Seat } from '../guest-seats.ts'

/** One of the addresses of a seat: what a request can come from. */
export interface Place {
  readonly seat: Seat
  readonly address: string
}

interface OwnedPort {
  readonly place: Place
  readonly port: TopologyPort
}

/** That an instance had a place. */
interface Ownership {
  readonly instance: string
  readonly from: MonotonicMilliseconds
  /** Until the agent was known to have heard of its end. */
  until: MonotonicMilliseconds
}

/** Of all instances, whose was which place when? A random topology that changes, and the judge of each answer. */
export class Ownerships {
  readonly #random: SeededRandom
  readonly #routers: number
  readonly #places: readonly Place[]
  readonly #owners = new Map<string, Ownership[]>()
  readonly #owned = new Map<string, OwnedPort>()
  /** Ends that the agent has not confirmed. */
  #ending: Ownership[] = []
  #numbers = 0x10_0000
  #lastChange = new Map<string, MonotonicMilliseconds>()

  /** @param numbers instances and ports are numbered from here, so that none is ever used twice in a run */
  constructor(random: SeededRandom, routers: number, seats: readonly Seat[], numbers: number) {
    this.#random = random
    this.#routers = routers
    this.#numbers = numbers
    this.#places = seats.flatMap((seat) => seat.addresses.map((address) => ({ seat, address })))
    for (const place of this.#places) if (random.chance(60)) this.#make(place, this.#nextInstance())
  }

  get places(): readonly Place[] {
    return this.#places
  }

  get nextNumber(): number {
    return this.#numbers
  }

  /** As it is now, with further ports. */
  topology(further: readonly TopologyPort[]): Topology {
    const ports = [...this.#owned.values()].map(({ port }) => port)
    return { ...emptyTopology(this.#routers), ports: [...ports, ...further] }
  }

  /** Some changes at once, as one transaction of the cloud. Call {@link Ownerships.confirmed} when the agent has heard of it. */
  change(): void {
    for (let count = 1 + this.#random.below(4); count > 0; count -= 1) {
      const place = this.#random.pick(this.#places)
      const other = this.#random.pick(this.#places)
      const mine = this.#owned.get(keyOf(place))
      switch (this.#random.below(5)) {
        case 0:
          // A port's device changes; MAC and address stay.
          if (mine !== undefined) this.#rebind(mine, this.#nextInstance())
          break
        case 1:
          this.#end(place)
          break
        case 2:
          // Made again at once, with another id.
          this.#end(place)
          this.#make(place, this.#nextInstance())
          break
        case 3:
          // An instance goes elsewhere, to another tenant's twin of its network perhaps.
          this.#end(place)
          this.#end(other)
          this.#make(other, mine?.port.instanceId ?? this.#nextInstance())
          break
        default:
          if (mine === undefined) this.#make(place, this.#nextInstance())
      }
    }
  }

  /** The agent has heard of every change up to now. */
  confirmed(at: MonotonicMilliseconds): void {
    for (const ownership of this.#ending) ownership.until = at
    this.#ending = []
  }

  /** True when the instance had the place at some moment between the two. */
  had(
    place: Place,
    instance: string,
    from: MonotonicMilliseconds,
    until: MonotonicMilliseconds,
  ): boolean {
    return (this.#owners.get(keyOf(place)) ?? []).some(
      (ownership) =>
        ownership.instance === instance && ownership.from <= until && ownership.until >= from,
    )
  }

  /** Who has it now. */
  ownerOf(place: Place): string | undefined {
    return this.#owned.get(keyOf(place))?.port.instanceId
  }

  /** When the place last changed hands. */
  changedAt(place: Place): MonotonicMilliseconds {
    return this.#lastChange.get(keyOf(place)) ?? 0
  }

  #nextInstance(): NonNullable<TopologyPort['instanceId']> {
    return instanceId((this.#numbers += 1))
  }

  #make(place: Place, instance: NonNullable<TopologyPort['instanceId']>): void {
    const { seat, address } = place
    this.#own(place, {
      portId: portId((this.#numbers += 1)),
      networkId: networkId(seat.router),
      macAddress: seat.macAddress,
      fixedIps: [ip(address)],
      projectId: projectId(seat.router),
      instanceId: instance,
      deviceOwner: 'compute:nova',
    })
  }

  #rebind({ place, port }: OwnedPort, instance: NonNullable<TopologyPort['instanceId']>): void {
    this.#end(place)
    this.#own(place, { ...port, instanceId: instance })
  }

  #own(place: Place, port: TopologyPort): void {
    const key = keyOf(place)
    this.#owned.set(key, { place, port })
    const ownership = {
      instance: port.instanceId ?? '',
      from: performance.now(),
      until: Number.POSITIVE_INFINITY,
    }
    this.#owners.set(key, [...(this.#owners.get(key) ?? []).slice(-20), ownership])
    this.#lastChange.set(key, performance.now())
  }

  #end(place: Place): void {
    const key = keyOf(place)
    if (!this.#owned.delete(key)) return
    this.#lastChange.set(key, performance.now())
    const last = this.#owners.get(key)?.at(-1)
    if (last !== undefined) this.#ending.push(last)
  }
}

function keyOf({ seat, address }: Place): string {
  return `${seat.router} ${address} ${seat.macAddress}`
}
