import type { Bytes, Count } from '../../../../lib/runtime/clock.ts'
import type { QueryKind } from '../metrics.ts'

/** One condition of a list, such as `GET /v2.0/ports`: the values of a name are alternatives, all names must hold. */
export interface Filter {
  readonly name: 'id' | 'network_id' | 'device_id' | 'device_owner' | 'mac_address' | 'fixed_ips'
  readonly values: readonly string[]
}

/** What Neutron lists. */
export type Collection = 'ports' | 'networks'

/** A query of `GET /v2.0/ports`, or of another collection, as one or more requests. */
export interface PortsQuery {
  readonly kind: QueryKind
  /** @default ports */
  readonly collection?: Collection
  readonly fields: readonly string[]
  readonly filters: readonly Filter[]
}

/** One filter per address: `fixed_ips=ip_address=10.0.0.10`. */
export function fixedIpFilter(addresses: readonly string[]): Filter {
  return { name: 'fixed_ips', values: addresses.map((address) => `ip_address=${address}`) }
}

/** Path and query below the endpoint, `/v2.0/ports?fields=id&…`. */
export function portsPath(query: PortsQuery, limit: Count, marker?: string): string {
  const parameters = new URLSearchParams()
  for (const field of query.fields) parameters.append('fields', field)
  for (const { name, values } of query.filters) {
    for (const value of values) parameters.append(name, value)
  }
  parameters.append('limit', String(limit))
  if (marker !== undefined) parameters.append('marker', marker)
  return `/v2.0/${query.collection ?? 'ports'}?${parameters.toString()}`
}

/**
 * Cuts a query in two by its longest list of values. @returns `undefined` when every list has one value already
 */
export function halve(query: PortsQuery): readonly [PortsQuery, PortsQuery] | undefined {
  const longest = query.filters.reduce<Filter | undefined>(
    (found, filter) =>
      filter.name !== 'device_owner' && filter.values.length > (found?.values.length ?? 1)
        ? filter
        : found,
    undefined,
  )
  if (longest === undefined) return undefined
  const middle = Math.ceil(longest.values.length / 2)
  const part = (values: readonly string[]): PortsQuery => ({
    ...query,
    filters: query.filters.map((filter) =>
      filter === longest ? { name: filter.name, values } : filter,
    ),
  })
  return [part(longest.values.slice(0, middle)), part(longest.values.slice(middle))]
}

/**
 * Cuts a query until each request-target has at most that many bytes (a marker will come on top). Neutron's server refuses long ones:
 * from 8 KiB on by default (Launchpad 1348097).
 */
export function inChunks(query: PortsQuery, limit: Count, bytes: Bytes): PortsQuery[] {
  // Percent-encoding leaves only ASCII, so characters are bytes.
  if (portsPath(query, limit).length <= bytes) return [query]
  const halves = halve(query)
  if (halves === undefined) return [query]
  return halves.flatMap((half) => inChunks(half, limit, bytes))
}
