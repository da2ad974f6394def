/** How does a proxy say for whom it speaks? */
import type { BareGuest } from './cloud.ts'
import type { Flavour } from './guest-networks.ts'

/** What a haproxy that Neutron configured adds. */
export function haproxyHeaders(guest: BareGuest, flavour: Flavour): Record<string, string> {
  return {
    'x-forwarded-for': guest.ip,
    ...(flavour === 'ovn'
      ? { 'x-ovn-network-id': guest.networkId }
      : { 'x-neutron-router-id': guest.routerId ?? '' }),
  }
}

/** What overlapd-proxy adds. */
export function proxyHeaders(
  guest: BareGuest,
  flavour: Flavour,
  mac: string = guest.mac,
): Record<string, string> {
  return { ...haproxyHeaders(guest, flavour), 'x-overlapd-source-mac': mac }
}
