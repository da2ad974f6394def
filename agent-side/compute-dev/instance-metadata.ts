import { createHash } from 'node:crypto'
import type { InstanceId, ProjectId } from '../../lib/identity/ids.ts'
import type { IpAddress } from '../../lib/identity/ip-address.ts'
import type { Port } from '../ports/directory/port-directory.ts'
import type { InstanceEntry } from '../ports/static/instance-schema.ts'
import type { StaticInstance, StaticTopology } from '../ports/static/topology.ts'
import { networkData } from './network-data.ts'

/** All that both trees hold about one instance. Built once per instance and cache lifetime, as Nova's is. */
export interface InstanceMetadata {
  readonly uuid: InstanceId
  readonly projectId: ProjectId
  readonly entry: InstanceEntry
  readonly name: string
  /** With the domain. */
  readonly hostname: string
  readonly ec2Id: string
  readonly reservationId: string
  readonly fixedIps: readonly IpAddress[]
  readonly userData: Uint8Array | undefined
  readonly networkData: unknown
  /** `undefined` where the provider is not configured. */
  readonly vendorData: unknown
  readonly vendorData2: unknown
  /** As it was when this was built. */
  readonly password: string
}

/** Nova makes a host name of a display name: lower case, words joined by `-`, nothing that DNS refuses. */
function hostnameOf(name: string, uuid: string): string {
  const words = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replaceAll(/^[.-]+|[.-]+$/g, '')
  return words === '' ? `server-${uuid}` : words.slice(0, 63)
}

function userDataOf(entry: InstanceEntry): Uint8Array | undefined {
  if (entry.user_data !== undefined) return Buffer.from(entry.user_data, 'utf8')
  return entry.user_data_base64 === undefined
    ? undefined
    : Buffer.from(entry.user_data_base64, 'base64')
}

function vendorDataOf(
  entry: InstanceEntry,
  compute: StaticTopology['compute'],
): Pick<InstanceMetadata, 'vendorData' | 'vendorData2'> {
  const isProvided = compute.vendordata_providers.includes('StaticJSON')
  const vendorData = isProvided ? (entry.vendor_data ?? compute.vendor_data) : undefined
  return {
    vendorData,
    vendorData2: entry.vendor_data2 ?? (isProvided ? { static: vendorData } : {}),
  }
}

/** @param password what was posted to `password`, or what the file has */
export function instanceMetadata(
  instance: StaticInstance,
  topology: StaticTopology,
  ports: readonly Port[],
  password: string | undefined,
): InstanceMetadata {
  const { entry, instanceId: uuid, projectId, position } = instance
  const { compute } = topology
  const name = entry.name ?? `server-${uuid}`
  const host = entry.hostname ?? hostnameOf(name, uuid)
  const reservation = createHash('sha256').update(uuid).digest('hex').slice(0, 8)
  return {
    uuid,
    projectId,
    entry,
    name,
    hostname: compute.dhcp_domain === '' ? host : `${host}.${compute.dhcp_domain}`,
    ec2Id: entry.ec2_id ?? `i-${position.toString(16).padStart(8, '0')}`,
    reservationId: entry.reservation_id ?? `r-${reservation}`,
    fixedIps: entry.fixed_ips ?? ports.flatMap((port) => port.fixedIps),
    userData: userDataOf(entry),
    networkData: entry.network_data ?? networkData(ports, topology.networks),
    ...vendorDataOf(entry, compute),
    password: password ?? entry.password ?? '',
  }
}
