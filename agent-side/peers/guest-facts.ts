/**
 * What is known of a request beside who sent it? Our own proxy reports how the connection arrived and what the guest wrote; behind
 * haproxy there are the guest's own headers and nothing else.
 */
import type { Count } from '../../lib/runtime/clock.ts'
import { wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { Peer, RawHeaders } from './lookup-key.ts'

/** How the SYN of the guest's connection arrived. */
export interface Arrival {
  /** IPv4's TTL, IPv6's hop limit. */
  readonly hopLimit: number
  /** 0 where it is not known. */
  readonly sourcePort: number
}

/** What shields look at. */
export interface GuestFacts {
  /** Sent by our own proxy, which can know an arrival. */
  readonly isOfOurProxy: boolean
  /** Absent behind haproxy and older proxies of ours, and where the kernel kept no SYN. */
  readonly arrival: Arrival | undefined
  /** As the guest sent it; empty for a request without one, absent where that is not known. */
  readonly host: string | undefined
  /** Its own headers show that another program forwarded it. */
  readonly isForwarded: boolean
  /** What stands where a session token does. */
  readonly token: string | undefined
  /** What stands where the life of a new token does. */
  readonly tokenTtl: string | undefined
  /** User-Agent, for people. */
  readonly agent: string
}

const longestAgent: Count = 80
const arrivalPattern = /^(\d{1,3}) (\d{1,5})$/

/** Reads the facts out of a request's headers. What cannot be read is not known. */
export function readGuestFacts(peer: Peer, rawHeaders: RawHeaders): GuestFacts {
  return peer.kind === 'overlapd' ? reportedFacts(rawHeaders) : ownFacts(rawHeaders)
}

function reportedFacts(rawHeaders: RawHeaders): GuestFacts {
  const values = valuesOf(rawHeaders)
  const host = values.get(wireHeaders.guestHost)
  return {
    isOfOurProxy: true,
    arrival: arrivalOf(values.get(wireHeaders.arrival)),
    host: host === '-' ? '' : host,
    isForwarded: values.has(wireHeaders.guestForwarded),
    token: values.get(wireHeaders.token),
    tokenTtl: values.get(wireHeaders.tokenTtl),
    agent: (values.get(wireHeaders.guestAgent) ?? '').slice(0, longestAgent),
  }
}

/** Neutron's haproxy appends one X-Forwarded-For of its own, as a line. */
function ownFacts(rawHeaders: RawHeaders): GuestFacts {
  const values = valuesOf(rawHeaders)
  const addresses = values.get(wireHeaders.forwardedFor) ?? ''
  return {
    isOfOurProxy: false,
    arrival: undefined,
    host: values.get('host') ?? '',
    isForwarded:
      addresses.includes(',') ||
      ['forwarded', 'via', 'x-forwarded-host', 'x-real-ip'].some((name) => values.has(name)),
    token: values.get(wireHeaders.token),
    tokenTtl: values.get(wireHeaders.tokenTtl),
    agent: (values.get('user-agent') ?? '').slice(0, longestAgent),
  }
}

const counting: ReadonlySet<string> = new Set([
  wireHeaders.arrival,
  wireHeaders.guestHost,
  wireHeaders.guestForwarded,
  wireHeaders.guestAgent,
  wireHeaders.token,
  wireHeaders.tokenTtl,
  wireHeaders.forwardedFor,
  'host',
  'forwarded',
  'via',
  'x-forwarded-host',
  'x-real-ip',
  'user-agent',
])

/** By name in lower case. Repeated lines are joined: what is a token or a number alone is none then. @see RFC 9110 §5.3 */
function valuesOf(rawHeaders: RawHeaders): ReadonlyMap<string, string> {
  const values = new Map<string, string>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? ''
    if (!counting.has(name)) continue
    const value = rawHeaders[index + 1] ?? ''
    const before = values.get(name)
    values.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return values
}

function arrivalOf(text: string | undefined): Arrival | undefined {
  const [, hops, port] = arrivalPattern.exec(text ?? '') ?? []
  const hopLimit = Number(hops)
  const sourcePort = Number(port)
  if (!(hopLimit <= 255) || !(sourcePort <= 65_535)) return undefined
  return { hopLimit, sourcePort }
}
