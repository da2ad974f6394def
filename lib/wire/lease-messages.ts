/**
 * Messages of an agent and the workers of its host about leases: one JSON object a line over a UNIX socket of its own.
 * Both read what they get field by field, since either may be of another version.
 */
import type { Bytes, Count, Milliseconds } from '../runtime/clock.ts'
import { parseNetworkId, parseRouterId } from '../identity/ids.ts'
import { parseIngressPort, type IngressPort } from '../identity/ingress-port.ts'
import { parseIpAddress, type IpAddress } from '../identity/ip-address.ts'
import { parseMacAddress, type MacAddress } from '../identity/mac-address.ts'
import type { Scope } from '../identity/scope.ts'
import { isMapping } from '../runtime/mapping.ts'
import type { Fields } from './message-fields.ts'
import { wireHeaders } from './wire-headers.ts'

/** Longest line in each direction; both ends give a connection up over a longer one. */
export const longestLeaseLine: { readonly ofWorker: Bytes; readonly ofAgent: Bytes } = {
  ofWorker: 2_048,
  ofAgent: 16_384,
}

/** Of a {@link LeasedUse}, in characters. Requests with a longer target never go under a lease. */
export const longestLeasedUse: { readonly agent: Count; readonly target: Count } = {
  agent: 120,
  target: 300,
}

/** How often the agent sends a heartbeat. */
export const heartbeatInterval: Milliseconds = 1_000

/** A worker that received nothing for so long uses no lease any more: it would not receive a revocation either. */
export const longestSilence: Milliseconds = 3_000

/** Leases that one revocation may name, so that it fits a line. */
export const leasesPerRevocation = 256

/** One guest as a worker saw it: the whole lookup key, never less. */
export interface LeaseKey {
  readonly scope: Scope
  readonly sourceIp: IpAddress
  readonly sourceMac: MacAddress
  /** With a router only; absent when not known. */
  readonly ingressPort?: IngressPort
}

/** Where to forward to, and with what. */
export interface LeaseUpstream {
  /** Origin of the compute metadata API: `http://192.0.2.10:8775`. */
  readonly url: string
  /** Path of the PEM file of authorities; absent: those of the system. */
  readonly caFile?: string
  /** Do not verify the server's certificate. */
  readonly insecure: boolean
  /** From the request being sent to the head of its answer; absent from an agent that does not send it. */
  readonly timeoutHeaders?: Milliseconds
  /** Between two parts of a body; absent from an agent that does not send it. */
  readonly timeoutBody?: Milliseconds
  /** Names and values in turn, exactly {@link leasedHeaderNames}. */
  readonly headers: readonly string[]
}

/** The header set of a lease, in this order. */
export const leasedHeaderNames = [
  wireHeaders.forwardedFor,
  wireHeaders.instanceId,
  wireHeaders.tenantId,
  wireHeaders.instanceIdSignature,
] as const

/** How many requests of this worker may be on their way to compute: between which two numbers its limit moves. */
export interface LeasedConcurrency {
  readonly min: Count
  readonly max: Count
}

/** Alike requests that were served under a lease: of one program, for one class of documents. */
export interface LeasedUse {
  readonly kind: 'served'
  readonly lease: number
  readonly requests: Count
  /** User-Agent. */
  readonly agent: string
  /** Of the last one. */
  readonly target: string
}

/** Worker → agent. */
export type LeaseRequest =
  | ({ readonly kind: 'request'; readonly request: number } & LeaseKey)
  /** Compute refused a request under this lease, so the worker has dropped it. */
  | { readonly kind: 'stale'; readonly lease: number }
  /** Requests were served under this lease, which the agent would otherwise have seen. */
  | LeasedUse

/** Agent → worker. */
export type LeaseNews =
  /** Also the first thing on each connection. */
  | {
      readonly kind: 'heartbeat'
      /** Absent from an agent that does not send it. */
      readonly concurrency?: LeasedConcurrency
    }
  | {
      readonly kind: 'lease'
      readonly request: number
      readonly lease: number
      /** Counted by the worker from its request, so that it never ends later than the agent meant. */
      readonly ttl: Milliseconds
      /** The preferred one first. */
      readonly upstreams: readonly LeaseUpstream[]
    }
  | { readonly kind: 'refused'; readonly request: number }
  | { readonly kind: 'revoke'; readonly leases: readonly number[] }
  | { readonly kind: 'revoke_all' }

const mostUses: Count = 1_000_000
const mostUpstreams = 8
const longestTimeout: Milliseconds = 600_000
/** What may stand in a header's value, and is all that ids, addresses and signatures are made of. */
const fieldValue = /^[\x21-\x7e]{1,300}$/

/** One message as its line. */
export function leaseLine(message: LeaseRequest | LeaseNews): string {
  return `${JSON.stringify(message)}\n`
}

/** Reads a message of a worker. @returns `undefined` when it means nothing */
export function readLeaseRequest(value: unknown): LeaseRequest | undefined {
  if (!isMapping(value)) return undefined
  if (value['kind'] === 'stale') {
    const lease = value['lease']
    return isNumber(lease) ? { kind: 'stale', lease } : undefined
  }
  if (value['kind'] === 'served') return readLeasedUse(value)
  const scope = readScope(value['scope'])
  const sourceIp = parseIpAddress(value['sourceIp'])
  const sourceMac = parseMacAddress(value['sourceMac'])
  const request = value['request']
  if (value['kind'] !== 'request' || !isNumber(request)) return undefined
  if (scope === undefined || sourceIp === undefined || sourceMac === undefined) return undefined
  if (value['ingressPort'] === undefined)
    return { kind: 'request', request, scope, sourceIp, sourceMac }
  const ingressPort = parseIngressPort(value['ingressPort'])
  if (ingressPort === undefined) return undefined
  return scope.kind === 'router'
    ? { kind: 'request', request, scope, sourceIp, sourceMac, ingressPort }
    : { kind: 'request', request, scope, sourceIp, sourceMac }
}

function readLeasedUse({ lease, requests, agent, target }: Fields): LeasedUse | undefined {
  if (!isNumber(lease) || !isNumber(requests) || requests < 1 || requests > mostUses) {
    return undefined
  }
  const isText = (text: unknown, longest: Count): text is string =>
    typeof text === 'string' && text.length <= longest
  if (!isText(agent, longestLeasedUse.agent) || !isText(target, longestLeasedUse.target)) {
    return undefined
  }
  return { kind: 'served', lease, requests, agent, target }
}

/** Reads a message of an agent. @returns `undefined` when it means nothing */
export function readLeaseNews(value: unknown): LeaseNews | undefined {
  if (!isMapping(value)) return undefined
  const { kind, request } = value
  switch (kind) {
    case 'heartbeat':
      return readHeartbeat(value)
    case 'revoke_all':
      return { kind }
    case 'refused':
      return isNumber(request) ? { kind, request } : undefined
    case 'revoke': {
      const { leases } = value
      return Array.isArray(leases) && leases.every(isNumber) ? { kind, leases } : undefined
    }
    case 'lease':
      return readLease(value)
    default:
      return undefined
  }
}

function readHeartbeat({ concurrency }: Fields): LeaseNews | undefined {
  if (concurrency === undefined) return { kind: 'heartbeat' }
  if (!isMapping(concurrency)) return undefined
  const { min, max } = concurrency
  if (!isNumber(min) || !isNumber(max) || min < 1 || min > max) return undefined
  return { kind: 'heartbeat', concurrency: { min, max } }
}

function readLease(value: Fields): LeaseNews | undefined {
  const { request, lease, ttl, upstreams } = value
  if (!isNumber(request) || !isNumber(lease)) return undefined
  if (typeof ttl !== 'number' || !(ttl > 0) || ttl > 3_600_000) return undefined
  if (!Array.isArray(upstreams) || upstreams.length === 0 || upstreams.length > mostUpstreams) {
    return undefined
  }
  const read = upstreams.map(readUpstream)
  const whole = read.filter((upstream) => upstream !== undefined)
  return whole.length === read.length
    ? { kind: 'lease', request, lease, ttl, upstreams: whole }
    : undefined
}

function readUpstream(value: unknown): LeaseUpstream | undefined {
  if (!isMapping(value)) return undefined
  const { url, caFile, insecure, headers, timeoutHeaders, timeoutBody } = value
  if (typeof url !== 'string' || !/^https?:\/\/[^/]+$/.test(url) || !URL.canParse(url)) {
    return undefined
  }
  if (typeof insecure !== 'boolean' || !Array.isArray(headers)) return undefined
  if (caFile !== undefined && typeof caFile !== 'string') return undefined
  if (!isTimeout(timeoutHeaders) || !isTimeout(timeoutBody)) return undefined
  const isWhole =
    headers.length === leasedHeaderNames.length * 2 &&
    leasedHeaderNames.every((name, index) => headers[index * 2] === name) &&
    headers.every((text) => typeof text === 'string' && fieldValue.test(text))
  if (!isWhole) return undefined
  return {
    url,
    insecure,
    headers: Object.freeze(headers as string[]),
    ...(caFile !== undefined && { caFile }),
    ...(timeoutHeaders !== undefined && { timeoutHeaders }),
    ...(timeoutBody !== undefined && { timeoutBody }),
  }
}

function isTimeout(value: unknown): value is Milliseconds | undefined {
  return value === undefined || (isNumber(value) && value >= 1 && value <= longestTimeout)
}

function readScope(value: unknown): Scope | undefined {
  if (!isMapping(value)) return undefined
  if (value['kind'] === 'router') {
    const routerId = parseRouterId(value['routerId'])
    return routerId && { kind: 'router', routerId }
  }
  const networkId = parseNetworkId(value['networkId'])
  return value['kind'] === 'network' && networkId ? { kind: 'network', networkId } : undefined
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
