import type { IngressPort } from '../../../lib/identity/ingress-port.ts'
import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import { scopeText } from '../../../lib/identity/scope.ts'
import { isInitialHopLimit } from '../../../lib/wire/hop-limit.ts'
import { wireHeaders } from '../../../lib/wire/wire-headers.ts'
import type { NamespaceAccount } from '../guest/accounts.ts'
import type { ListenerDescription } from './protocol.ts'

/** A listening socket as its connections see it: the one source of their identity. */
export interface GuestListener {
  readonly description: ListenerDescription
  /** The description's scope as `scopeText` writes it. */
  readonly scope: string
  /** The socket was made in the namespace of a router, and not by a worker for itself. */
  readonly isInRouter: boolean
  /** Nothing is accepted there any more. */
  isClosed: boolean
  /** Shared by all listeners of the scope. */
  readonly account: NamespaceAccount
  /** Name and value of the one header that holds the scope. */
  readonly scopeHeader: readonly [name: string, value: string]
}

/** @throws {RangeError} when the flavour has no header for the scope */
export function guestListener(
  description: ListenerDescription,
  account: NamespaceAccount,
): GuestListener {
  return {
    description,
    scope: scopeText(description.scope),
    isInRouter: description.scope.kind === 'router' && !('host' in description),
    isClosed: false,
    account,
    scopeHeader: scopeHeader(description),
  }
}

/** How a connection's SYN arrived. */
export interface Arrival {
  /** IPv4's TTL, IPv6's hop limit. */
  readonly hopLimit: number
  /** 0 where it is not known. */
  readonly sourcePort: number
}

/**
 * The address of a guest inside its scope and behind one of its router's ports, as text: the part of a lookup key that two guests can have
 * one after the other.
 */
export type GuestPlace = string

/** @param scope as `scopeText` writes it */
export function guestPlace(
  scope: string,
  address: IpAddress,
  ingressPort?: IngressPort,
): GuestPlace {
  return `${scope} ${address} ${ingressPort ?? '-'}`
}

/** What identifies the guest behind one connection, worked out once. */
export interface GuestIdentity {
  readonly listener: GuestListener
  /** The socket's peer. */
  readonly address: IpAddress
  readonly sourceMac: MacAddress | undefined
  /** In a router's namespace, the port by which the connection came, where the kernel knew it. */
  readonly ingressPort: IngressPort | undefined
  /** The SYN left the guest as a program of the guest sends it. */
  readonly isFromGuestItself: boolean
  readonly place: GuestPlace
  /** Names and values in turn: the headers that carry all of this to the agent. */
  readonly headers: readonly string[]
}

/**
 * Builds the identity headers of a connection from nothing but its listener and its socket: one scope header by flavour,
 * the peer's address, and the MAC and the router's port where the kernel knew them.
 * @see neutron/agent/metadata/driver.py, neutron/agent/ovn/metadata/driver.py for the flavours
 */
export function identifyGuest(
  listener: GuestListener,
  address: IpAddress,
  sourceMac: MacAddress | undefined,
  ingressPort?: IngressPort,
  arrival?: Arrival,
): GuestIdentity {
  return new ConnectedGuest(listener, address, sourceMac, ingressPort, arrival)
}

class ConnectedGuest implements GuestIdentity {
  readonly listener: GuestListener
  readonly address: IpAddress
  readonly sourceMac: MacAddress | undefined
  readonly ingressPort: IngressPort | undefined
  readonly isFromGuestItself: boolean
  readonly place: GuestPlace
  readonly #arrival: Arrival | undefined

  constructor(
    listener: GuestListener,
    address: IpAddress,
    sourceMac: MacAddress | undefined,
    ingressPort: IngressPort | undefined,
    arrival: Arrival | undefined,
  ) {
    this.listener = listener
    this.address = address
    this.sourceMac = sourceMac
    this.ingressPort = ingressPort
    this.isFromGuestItself = arrival !== undefined && isInitialHopLimit(arrival.hopLimit)
    this.place = guestPlace(listener.scope, address, ingressPort)
    this.#arrival = arrival
  }

  /** Made when it is read, since a request under a lease needs none. */
  get headers(): readonly string[] {
    const headers = [...this.listener.scopeHeader, wireHeaders.forwardedFor, this.address]
    if (this.sourceMac !== undefined) headers.push(wireHeaders.sourceMac, this.sourceMac)
    if (this.ingressPort !== undefined) headers.push(wireHeaders.ingressPort, this.ingressPort)
    const arrival = this.#arrival
    if (arrival !== undefined) {
      headers.push(wireHeaders.arrival, `${arrival.hopLimit} ${arrival.sourcePort}`)
    }
    return headers
  }
}

function scopeHeader({ scope, flavour }: ListenerDescription): [name: string, value: string] {
  if (scope.kind === 'router') {
    if (flavour === 'ovn') throw new RangeError('OVN metadata has no router scope')
    return [wireHeaders.routerId, scope.routerId]
  }
  return [flavour === 'ovn' ? wireHeaders.ovnNetworkId : wireHeaders.networkId, scope.networkId]
}

/** For one line of a log. */
export function describeGuest(guest: GuestIdentity): Record<string, unknown> {
  const { scope, netns } = guest.listener.description
  return {
    scope: scopeText(scope),
    netns,
    source: guest.address,
    ...(guest.sourceMac !== undefined && { sourceMac: guest.sourceMac }),
    ...(guest.ingressPort !== undefined && { ingressPort: guest.ingressPort }),
  }
}
