/**
 * Which refusals must not be the first answer a guest gets? cloud-init and Ignition send requests over IPv6 and IPv4 at nearly the same time,
 * and take whichever answer comes first for the only one, a 404 too. A link-local address that does not hold the MAC of its
 * interface (RFC 7217, RFC 8981) identifies no port behind haproxy, which sends no MAC: without this such a guest would be
 * refused over IPv6 while its lookup over IPv4 was on its way to a good answer.
 *
 * Behind overlapd-proxy the MAC is known, unless source_mac is off or the kernel kept none. There few wait: whoever does holds one
 * of the connections to the agent that all guests of a host share.
 */
import type { Clock, Count, Milliseconds } from '../../lib/runtime/clock.ts'
import { isLinkLocalIpv6 } from '../../lib/identity/ip-address.ts'
import { reasonRow, type ReasonCode } from '../../lib/runtime/reason-codes.ts'
import type { Peer } from '../peers/lookup-key.ts'
import type { LookupKey } from '../resolve/resolution.ts'

/** cloud-init begins over IPv4 150 ms after IPv6, and that answer may have to wait for a port directory. */
const headStart: Milliseconds = 1_000
/** More are refused at once: waiting costs a connection, which haproxy has one of for each request. */
const mostWaiting = { neutron: 1_000, overlapd: 8 } as const satisfies Record<Peer['kind'], Count>

/** Holds back refusals that an answer over IPv4 should overtake. */
export class DelayedRefusals {
  readonly #clock: Clock
  readonly #waiting: Record<Peer['kind'], Count> = { neutron: 0, overlapd: 0 }

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True where the same guest may be served over IPv4. */
  isLate(peer: Peer, key: LookupKey | undefined, code: ReasonCode): boolean {
    if (key === undefined || !isLinkLocalIpv6(key.sourceIp)) return false
    return reasonRow(code).status === 404 && this.#waiting[peer.kind] < mostWaiting[peer.kind]
  }

  /** Resolves when the refusal may be given, or when its guest has left. */
  async wait(peer: Peer, signal: AbortSignal): Promise<void> {
    this.#waiting[peer.kind] += 1
    try {
      await this.#clock.sleep(headStart, signal)
    } catch {
      // The guest has left.
    } finally {
      this.#waiting[peer.kind] -= 1
    }
  }
}
