import type {
  Clock,
  Count,
  Milliseconds,
  MonotonicMilliseconds,
} from '../../../lib/runtime/clock.ts'
import { parseIngressPort, type IngressPort } from '../../../lib/identity/ingress-port.ts'
import type { IngressReader } from '../../netns/ingress.ts'
import type { SocketEnd } from '../../netns/socket-ends.ts'

/** How Neutron begins the name of a router's interface towards a network; eleven characters of the port's id follow. */
const prefix = 'qr-'

/**
 * By which port of a router did an accepted connection come? Absent when the kernel does not know.
 * @param listener that accepted it; an index means something in its namespace alone
 */
export type ReadIngressPort = (
  fd: number,
  peer: Pick<SocketEnd, 'address' | 'interfaceIndex'>,
  listener: object,
) => IngressPort | undefined

interface KnownPort {
  port: IngressPort
  readAt: MonotonicMilliseconds
}

/** An interface is given no other name while it is up, and the kernel goes round before it gives an index again. */
const goodFor: Milliseconds = 1_000
const mostKnown: Count = 64

/** Reads it from the socket; which port an index stands for is read again after a second. */
export function ingressPortReader(
  reader: Pick<IngressReader, 'indexOf' | 'nameOf'>,
  clock: Pick<Clock, 'now'>,
): ReadIngressPort {
  const known = new WeakMap<object, Map<number, KnownPort>>()
  return (fd, peer, listener) => {
    const index = reader.indexOf(fd, peer)
    if (index === 0) return undefined
    let ports = known.get(listener)
    if (ports === undefined || ports.size > mostKnown) known.set(listener, (ports = new Map()))
    const now = clock.now()
    const last = ports.get(index)
    if (last !== undefined && now - last.readAt < goodFor) return last.port
    const port = ingressPortOf(reader.nameOf(fd, index))
    // No guest comes in through anything else but by a mistake, which may have been put right by now.
    if (port === 'other') ports.delete(index)
    else if (last === undefined) ports.set(index, { port, readAt: now })
    else {
      last.port = port
      last.readAt = now
    }
    return port
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
