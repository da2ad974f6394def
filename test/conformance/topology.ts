import type { InstanceId, NetworkId, PortId, ProjectId, RouterId } from '../../lib/identity/ids.ts'
import {
  parseInstanceId,
  parseNetworkId,
  parsePortId,
  parseProjectId,
  parseRouterId,
} from '../../lib/identity/ids.ts'
import { parseIpAddress, type IpAddress } from '../../lib/identity/ip-address.ts'
import { parseMacAddress, type MacAddress } from '../../lib/identity/mac-address.ts'

/** What a source of ports is to hold, in Neutron's words. A driver turns it into rows, JSON, messages or YAML. */
export interface Topology {
  readonly networks: readonly TopologyNetwork[]
  readonly routers: readonly TopologyRouter[]
  /** Everything but the routers' own ports. */
  readonly ports: readonly TopologyPort[]
}

export interface TopologyNetwork {
  readonly networkId: NetworkId
  readonly projectId: ProjectId
}

export interface TopologyRouter {
  readonly routerId: RouterId
  readonly projectId: ProjectId
  readonly ports: readonly RouterPort[]
}

/** A port whose `device_id` is the router. Only some owners make the network one of the router's. */
export interface RouterPort {
  readonly portId: PortId
  readonly networkId: NetworkId
  readonly macAddress: MacAddress
  readonly fixedIps: readonly IpAddress[]
  readonly deviceOwner: string
}

export interface TopologyPort {
  readonly portId: PortId
  readonly networkId: NetworkId
  readonly macAddress: MacAddress
  readonly fixedIps: readonly IpAddress[]
  readonly projectId: ProjectId
  /** `device_id`; absent stands for Neutron's empty string. */
  readonly instanceId?: InstanceId
  /** `compute:nova` wherever there is an instance; empty where there is none. */
  readonly deviceOwner: string
}

function parsed<Value>(value: Value | undefined, text: string): Value {
  if (value === undefined) throw new TypeError(`The topology holds an unreadable text: "${text}"`)
  return value
}

/** A UUID that is the same in every run: `uuid('a', 16)` is `a0000000-0000-4000-8000-000000000010`. */
export function uuid(first: string, number: number): string {
  return `${first.padEnd(8, '0')}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`
}
export function networkId(number: number): NetworkId {
  return parsed(parseNetworkId(uuid('a', number)), String(number))
}
export function routerId(number: number): RouterId {
  return parsed(parseRouterId(uuid('b', number)), String(number))
}
export function portId(number: number): PortId {
  return parsed(parsePortId(uuid('c', number)), String(number))
}
export function instanceId(number: number): InstanceId {
  return parsed(parseInstanceId(uuid('d', number)), String(number))
}
/** Keystone's form: 32 hex digits. */
export function projectId(number: number): ProjectId {
  const text = uuid('e', number).replaceAll('-', '')
  return parsed(parseProjectId(text), text)
}
export function ip(text: string): IpAddress {
  return parsed(parseIpAddress(text), text)
}
/** `mac(0x1234)` is `fa:16:3e:00:12:34`. */
export function mac(number: number): MacAddress {
  const hex = number.toString(16).padStart(6, '0')
  const text = `fa:16:3e:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`
  return parsed(parseMacAddress(text), text)
}
