/**
 * What may a connection's headers state about where a request came from? That depends on who can open the socket, and nothing
 * else: the kernel enforces owner and mode of the socket file, so whoever connects is the proxy the operator meant.
 *
 * Two kinds, never mixed. Behind our own proxy every identity header is ours, and a repeated one is an attack. Behind haproxy
 * the guest's own copies arrive as well: haproxy sets or deletes the headers of its flavour and *appends* its
 * `X-Forwarded-For`, so only those count, of each only the last line, and everything else is a guest talking.
 * @see neutron/agent/metadata/driver.py, neutron/agent/ovn/metadata/driver.py
 */
import { randomUUID } from 'node:crypto'
import { MetadataError } from '../../lib/runtime/errors.ts'
import { parseNetworkId, parseRouterId } from '../../lib/identity/ids.ts'
import { parseIngressPort, type IngressPort } from '../../lib/identity/ingress-port.ts'
import { parseIpAddress, type IpAddress } from '../../lib/identity/ip-address.ts'
import { parseMacAddress, type MacAddress } from '../../lib/identity/mac-address.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import { scopeHeaders, wireHeaders } from '../../lib/wire/wire-headers.ts'
import type { KnownProxy } from './proxy-grants.ts'
import type { SourceMacPolicy } from '../resolve/identity-policy.ts'
import type { LookupKey } from '../resolve/resolution.ts'

/** Who speaks on a listener. */
export type Peer =
  | {
      readonly kind: 'overlapd'
      /** Who connected over TCP. Absent on a socket of this host, which only the proxy of this host can open. */
      readonly proxy?: KnownProxy
    }
  /** haproxy as Neutron's agents configure it: `ml2` for L3 and DHCP agents, `ovn` for the OVN agents. */
  | {
      readonly kind: 'neutron'
      readonly flavour: 'ml2' | 'ovn'
      /** Its account, where that is of interest and known. */
      readonly userId?: number | undefined
    }

/** Names and values in turn, as `IncomingMessage.rawHeaders` has them: Node joins repeated lines elsewhere. */
export type RawHeaders = readonly string[]

const countingHeaders = {
  overlapd: new Set<string>([
    ...scopeHeaders,
    wireHeaders.forwardedFor,
    wireHeaders.sourceMac,
    wireHeaders.ingressPort,
    wireHeaders.requestId,
  ]),
  ml2: new Set<string>([wireHeaders.routerId, wireHeaders.networkId, wireHeaders.forwardedFor]),
  ovn: new Set<string>([wireHeaders.ovnNetworkId, wireHeaders.forwardedFor]),
} as const

/** Our proxy makes ids of this form; anything else is not repeated into logs. */
const requestIdPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/

interface Line {
  /** The last one's value. */
  readonly value: string
  readonly count: number
}
type Lines = ReadonlyMap<string, Line>

function linesOf(rawHeaders: RawHeaders, counting: ReadonlySet<string>): Lines {
  const lines = new Map<string, Line>()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? ''
    if (!counting.has(name)) continue
    const count = (lines.get(name)?.count ?? 0) + 1
    lines.set(name, { value: rawHeaders[index + 1] ?? '', count })
  }
  return lines
}

function scopeOf(lines: Lines): Scope {
  const named = scopeHeaders.filter((name) => lines.has(name))
  const [header] = named
  if (header === undefined) {
    throw new MetadataError('identity_missing', 'Unknown scope: no identity header')
  }
  if (named.length > 1) {
    throw new MetadataError('identity_conflict', 'Unknown scope: several kinds of id', {
      details: { headers: named },
    })
  }
  const text = lines.get(header)?.value
  if (header === wireHeaders.routerId) {
    const routerId = parseRouterId(text)
    if (routerId !== undefined) return { kind: 'router', routerId }
  } else {
    const networkId = parseNetworkId(text)
    if (networkId !== undefined) return { kind: 'network', networkId }
  }
  throw new MetadataError('identity_malformed', 'Unknown scope: the id is malformed', {
    details: { header },
  })
}

function sourceIpOf(lines: Lines): IpAddress {
  const line = lines.get(wireHeaders.forwardedFor)
  if (line === undefined) {
    throw new MetadataError('source_address_missing', 'Unknown source: no X-Forwarded-For')
  }
  // Exactly one address: in a list, any part may be the guest's own.
  const sourceIp = parseIpAddress(line.value)
  if (sourceIp !== undefined) return sourceIp
  throw new MetadataError(
    'source_address_malformed',
    'Unknown source: X-Forwarded-For is not one address',
  )
}

function sourceMacOf(lines: Lines): MacAddress | undefined {
  const line = lines.get(wireHeaders.sourceMac)
  if (line === undefined) return undefined
  const sourceMac = parseMacAddress(line.value)
  if (sourceMac !== undefined) return sourceMac
  throw new MetadataError('source_address_malformed', 'Unknown source: malformed MAC')
}

/** What is malformed is refused beside every kind of id; what is well-formed counts beside a router's only. */
function ingressPortOf(lines: Lines, scope: Scope): IngressPort | undefined {
  const line = lines.get(wireHeaders.ingressPort)
  if (line === undefined) return undefined
  const ingressPort = parseIngressPort(line.value)
  if (ingressPort !== undefined) return scope.kind === 'router' ? ingressPort : undefined
  throw new MetadataError('identity_malformed', 'Unknown scope: malformed ingress port', {
    details: { header: wireHeaders.ingressPort },
  })
}

/**
 * Reads the lookup key out of a request's headers.
 * @throws {MetadataError} identity_missing, identity_conflict, identity_repeated, identity_malformed,
 * source_address_missing, source_address_malformed
 */
export function readLookupKey(peer: Peer, rawHeaders: RawHeaders): LookupKey {
  const counting = countingHeaders[peer.kind === 'overlapd' ? 'overlapd' : peer.flavour]
  const lines = linesOf(rawHeaders, counting)
  if (peer.kind === 'neutron') return { scope: scopeOf(lines), sourceIp: sourceIpOf(lines) }
  for (const [header, { count }] of lines) {
    if (count === 1) continue
    throw new MetadataError('identity_repeated', 'Unknown origin: a header is repeated', {
      details: { header, count },
    })
  }
  const scope = scopeOf(lines)
  const sourceMac = sourceMacOf(lines)
  const ingressPort = ingressPortOf(lines, scope)
  return {
    scope,
    sourceIp: sourceIpOf(lines),
    ...(sourceMac !== undefined && { sourceMac }),
    ...(ingressPort !== undefined && { ingressPort }),
  }
}

/**
 * With `verify`, a request of our own proxy must carry a MAC. Foreign proxies know none.
 * @throws {MetadataError} source_mac_missing
 */
export function requireSourceMac(policy: SourceMacPolicy, peer: Peer, key: LookupKey): void {
  if (policy !== 'verify' || peer.kind !== 'overlapd' || key.sourceMac !== undefined) return
  throw new MetadataError('source_mac_missing', 'Unknown source: no source MAC is known')
}

/** The id under which a request is logged: our proxy's, or a new one. Guests' ids behind haproxy do not count. */
export function readRequestId(peer: Peer, headers: Readonly<Record<string, unknown>>): string {
  const given = peer.kind === 'overlapd' ? headers[wireHeaders.requestId] : undefined
  return typeof given === 'string' && requestIdPattern.test(given) ? given : randomUUID()
}
