/** Who has just connected? Answered by the copy that the kernel keeps of the first packet, and by the kernel itself where there is none. */
import { peerEnd } from '../../netns/socket-ends.ts'
import { identifyGuest, type GuestIdentity, type GuestListener } from '../shared/guest-identity.ts'
import { isFromInside } from './canary.ts'
import type { ReadIngressPort } from './ingress-port.ts'
import { arrivalOfSyn, sourceIpv4OfSyn, sourceMacOfSyn } from './source-mac.ts'

/** How a worker looks at connections. */
export interface PeerOptions {
  /** The SYN of an accepted connection that nothing was read from yet. */
  readonly savedSyn: (fd: number) => Uint8Array | undefined
  /** Of a connection that was accepted in a router's namespace. */
  readonly ingressPort: ReadIngressPort
}

/** A guest, or a program of the host that is inside the namespace: the canary. */
export type Peer = GuestIdentity | 'inside'

/**
 * @param looksInside whether programs of the host are distinguished from guests
 * @returns `undefined` for a connection that was reset before it was accepted
 */
export function identifyPeer(
  { savedSyn, ingressPort }: PeerOptions,
  fd: number,
  listener: GuestListener,
  looksInside: boolean,
): Peer | undefined {
  const syn = savedSyn(fd)
  const source = syn && sourceIpv4OfSyn(syn)
  const peer = source === undefined ? peerEnd(fd) : { address: source, interfaceIndex: 0 }
  if (peer === undefined) return undefined
  const sourceMac = syn === undefined ? undefined : sourceMacOfSyn(syn)
  // What comes by way of loopback has no MAC.
  if (sourceMac === undefined && looksInside && isFromInside(fd)) return 'inside'
  const port = listener.isInRouter ? ingressPort(fd, peer, listener) : undefined
  return identifyGuest(listener, peer.address, sourceMac, port, syn && arrivalOfSyn(syn))
}
