import type { IpAddress } from '../../lib/ip-address.ts'
import type { MacAddress } from '../../lib/mac-address.ts'
import { scopeText } from '../../lib/scope.ts'
import { wireHeaders } from '../../lib/wire-headers.ts'
import type { NamespaceAccount } from './accounts.ts'
import type { ListenerDescription } from './protocol.ts'

/** A listening socket as its connections see it: the one source of their identity. */
export interface GuestListener {
  readonly description: ListenerDescription
  /** The description's scope as `scopeText` writes it. */
  readonly scope: string
  /** Nothing is accepted there any more. */
  isClosed: boolean
  /** Shared by all listeners of the scope. */
  readonly account: NamespaceAccount
  /** Name and value of the one header that says the scope. */
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
    isClosed: false,
    account,
    scopeHeader: scopeHeader(description),
  }
}

/** What identifies the guest behind one connection, worked out once. */
export interface GuestIdentity {
  readonly listener: GuestListener
  /** The socket's peer. */
  readonly address: IpAddress
  readonly sourceMac: MacAddress | undefined
  /** Names and values in turn: the headers that tell the agent all of this. */
  readonly headers: readonly string[]
}

/**
 * Builds the identity headers of a connection from nothing but its listener and its socket: one scope header by flavour,
 * the peer's address, and the MAC where the kernel knew it.
 * @see neutron/agent/metadata/driver.py, neutron/agent/ovn/metadata/driver.py for the flavours
 */
export function identifyGuest(
  listener: GuestListener,
  address: IpAddress,
  sourceMac: MacAddress | undefined,
): GuestIdentity {
  const headers = [...listener.scopeHeader, wireHeaders.forwardedFor, address]
  if (sourceMac !== undefined) headers.push(wireHeaders.sourceMac, sourceMac)
  return { listener, address, sourceMac, headers }
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
  }
}
