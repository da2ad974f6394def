import type { MonotonicMilliseconds } from '../../../lib/runtime/clock.ts'
import type {
  InstanceId,
  NetworkId,
  PortId,
  ProjectId,
  RouterId,
} from '../../../lib/identity/ids.ts'
import type { Scope, ScopeText } from '../../../lib/identity/scope.ts'
import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'

/** A Neutron port, as far as identity is concerned. */
export interface Port {
  readonly portId: PortId
  readonly networkId: NetworkId
  readonly macAddress: MacAddress
  readonly fixedIps: readonly IpAddress[]
  /** The port's `device_id`; absent while the port belongs to nothing. */
  readonly instanceId?: InstanceId
  readonly projectId?: ProjectId
  /** Neutron's `device_owner`, for the operator only. */
  readonly deviceOwner?: string
  /** Name for the operator only: tenants write it. */
  readonly name?: string
  /** Tags of its network for the shield, sorted. Tenants write them. Absent where there is none, or none is read. */
  readonly networkTags?: readonly string[]
}

/** One query about the ports of some networks. A port matches when it has the fixed IP **or** the MAC. */
export interface PortQuery {
  /** Never empty: a router without networks is decided by the resolver, since an empty set must not mean "any". */
  readonly networkIds: readonly NetworkId[]
  readonly fixedIp?: IpAddress
  readonly macAddress?: MacAddress
}

/**
 * How old an answer may be. `cached`: whatever the directory holds within its own documented bound. `fresh`: queried from the
 * source after this call began; the resolver insists on it before it trusts an unusual verdict (unknown MAC, conflict, none).
 * A directory that is pushed a complete copy may answer both from the copy.
 */
export type Freshness = 'cached' | 'fresh'

/** What goes with a query: how long it is wanted, and how fresh the answer must be. */
export interface QueryOptions {
  readonly signal: AbortSignal
  readonly freshness: Freshness
}

/** The ports that match a query, and when their source confirmed them. */
export interface PortsAnswer {
  /** Every matching port, each once, of any owner, status and host. */
  readonly ports: readonly Port[]
  /** When the source confirmed it; the resolver counts ages from here. */
  readonly asOf: MonotonicMilliseconds
  /** Until when it may be remembered: changes are not reported. Absent where the directory reports each change. */
  readonly until?: MonotonicMilliseconds
}

/** One of a router's own ports, and the network whose guests come in through it. A network may have several. */
export interface RouterInterface {
  readonly networkId: NetworkId
  /** Absent where the source names the network alone: then the ingress of no connection can be matched with it. */
  readonly portId?: PortId
}

/** The interfaces of a router, and when the source confirmed them. */
export interface InterfacesAnswer {
  /** Each once; empty when the router is unknown or has none. */
  readonly interfaces: readonly RouterInterface[]
  readonly asOf: MonotonicMilliseconds
  /** As in {@link PortsAnswer}. */
  readonly until?: MonotonicMilliseconds
}

/** The networks of some interfaces, each once. */
export function networksOf(interfaces: readonly RouterInterface[]): readonly NetworkId[] {
  const [only] = interfaces
  if (only !== undefined && interfaces.length === 1) return [only.networkId]
  return [...new Set(interfaces.map(({ networkId }) => networkId))]
}

/** Something changed at the source. Caches must drop what they hold of it before the next answer. */
export type DirectoryChange =
  | { readonly kind: 'network'; readonly networkId: NetworkId }
  | { readonly kind: 'router'; readonly routerId: RouterId }
  | { readonly kind: 'all'; readonly why: string }

/** Whether a directory is useful, and what is missing if not. */
export interface Readiness {
  readonly ready: boolean
  /** For the operator: what is missing, or how it stands. Names no secret. */
  readonly detail: string
  /**
   * What is wrong with a directory that is ready, and whether it names `some` guests nevertheless, or none at the moment. Absent
   * when all is well.
   */
  readonly trouble?: { readonly names: 'some' | 'none'; readonly what: string } | undefined
}

/** The device owners of a router's own interfaces. @see neutron_lib constants ROUTER_INTERFACE_OWNERS */
export const routerInterfaceOwners: ReadonlySet<string> = new Set([
  'network:router_interface',
  'network:router_interface_distributed',
  'network:ha_router_replicated_interface',
])

/**
 * A source of ports. It knows nothing of instances' metadata, HTTP or caches above it, and it never chooses: deciding
 * between several ports is the resolver's work.
 *
 * Absent is an answer (an empty list). Where the source cannot be queried, it throws a `MetadataError` with
 * `directory_unavailable`, `directory_timeout` or `directory_not_ready`. A directory that has not yet seen its
 * source whole is not ready; it does not answer *none*.
 */
export interface PortDirectory {
  readonly kind: string
  /** Begins to connect and returns at once; readiness shows when it is useful. */
  start(): Promise<void>
  /** Ends every connection and timer; may be called twice. */
  close(): Promise<void>
  readiness(): Readiness
  /**
   * Whether its source confirms at this moment what is answered. While it does not, no lease is granted: the directory may
   * go on naming instances for a short time, and then reports `all`. Absent: always.
   */
  isConfirmed?(): boolean
  interfacesOfRouter(
    routerId: RouterId,
    options: QueryOptions,
  ): InterfacesAnswer | Promise<InterfacesAnswer>
  findPorts(query: PortQuery, options: QueryOptions): PortsAnswer | Promise<PortsAnswer>
  /**
   * Whether the host has a port of the scope, as the source knows at this moment: a central agent may grant it by that. Absent: the
   * source does not know.
   * @param host name of a certificate
   * @throws {MetadataError} directory_not_ready, directory_unavailable: neither yes nor no is certain
   */
  isOnHost?(host: string, scope: Scope): boolean
  /** Takes the whole list of the scopes that this host serves, whenever it changes. Absent: makes no difference. */
  serve?(scopes: ReadonlySet<ScopeText>): void
  /** @returns the function that ends the subscription */
  onChange(listener: (change: DirectoryChange) => void): () => void
  /** Every port the directory holds, for audit and status; absent where only queries are possible. */
  allPorts?(): Iterable<Port>
  /**
   * Every port of a network, for the audit, where {@link allPorts} is absent. Queries the source for all of it.
   * @returns `undefined` for a network that is only queried address by address
   */
  portsOfNetwork?(networkId: NetworkId, options: QueryOptions): Promise<PortsAnswer | undefined>
}
