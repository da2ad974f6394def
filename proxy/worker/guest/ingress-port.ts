import { parseIngressPort, type IngressPort } from '../../../lib/identity/ingress-port.ts'
import type { IngressReader } from '../../netns/ingress.ts'
import type { SocketEnd } from '../../netns/socket-ends.ts'

/** How Neutron begins the name of a router's interface towards a network; eleven characters of the port's id follow. */
const prefix = 'qr-'

/** By which port of a router did an accepted connection come? Absent when the kernel does not know. */
export type ReadIngressPort = (
  fd: number,
  peer: Pick<SocketEnd, 'address' | 'interfaceIndex'>,
) => IngressPort | undefined

/** Reads it from the socket. */
export function ingressPortReader(reader: IngressReader): ReadIngressPort {
  return (fd, peer) => {
    const index = reader.indexOf(fd, peer)
    return index === 0 ? undefined : ingressPortOf(reader.nameOf(fd, index))
  }
}

/**
 * The router's port behind an interface.
 * @param name absent for an interface that was deleted meanwhile: then it is none that a guest can be behind
 * @see neutron/agent/l3/router_info.py get_internal_device_name(), neutron/agent/linux/interface.py DEV_NAME_LEN
 */
export function ingressPortOf(name: string | undefined): IngressPort {
  const isRouterPort = name?.startsWith(prefix) === true
  return (isRouterPort ? parseIngressPort(name.slice(prefix.length)) : undefined) ?? 'other'
}
