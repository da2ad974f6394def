import { MetadataError } from '../../../lib/runtime/errors.ts'
import {
  parseInstanceId,
  parseNetworkId,
  parsePortId,
  parseProjectId,
  parseRouterId,
  type PortId,
  type RouterId,
} from '../../../lib/identity/ids.ts'
import { parseIpAddress, type IpAddress } from '../../../lib/identity/ip-address.ts'
import { parseMacAddress } from '../../../lib/identity/mac-address.ts'
import { isMapping, type Mapping } from '../../../lib/runtime/mapping.ts'
import { routerInterfaceOwners, type Port } from './port-directory.ts'

/** A mapping of JSON, its values not yet looked at. */
export type JsonObject = Mapping

/** A port as Neutron's API and its versioned objects describe it. */
export interface NeutronPort {
  readonly port: Port
  /** Grows with each change of the port; absent where Neutron's `revisions` plugin is off. */
  readonly revision?: number
}

const longestName = 255

/** An answer that is not what Neutron promises. It is refused whole: half of it could make a wrong match. */
export function brokenAnswer(what: string, cause?: unknown): MetadataError {
  return new MetadataError('directory_unavailable', `Cannot read the answer: ${what}`, {
    details: { answer: what },
    ...(cause !== undefined && { cause }),
  })
}

function parseFixedIps(value: unknown, portId: PortId): readonly IpAddress[] {
  // A versioned object without allocations holds null.
  if (value === null || value === undefined) return []
  if (!Array.isArray(value)) throw brokenAnswer(`"fixed_ips" of port "${portId}" is no list`)
  return value.map((entry: unknown) => {
    const address = parseIpAddress(isMapping(entry) ? entry['ip_address'] : undefined)
    if (address === undefined) throw brokenAnswer(`a fixed IP of port "${portId}" is no address`)
    return address
  })
}

/**
 * Reads the fields of one port that identity depends on. `device_id` may be text that tenants wrote: what cannot be an
 * instance's id counts as none, and the port stays, because hiding it could make another one look unique.
 * @throws MetadataError `directory_unavailable` when a field is missing or has the wrong type
 */
export function parseNeutronPort(row: unknown): NeutronPort {
  if (!isMapping(row)) throw brokenAnswer('a port is not an object')
  const portId = parsePortId(row['id'])
  if (portId === undefined) throw brokenAnswer('a port has no "id"')
  const networkId = parseNetworkId(row['network_id'])
  const macAddress = parseMacAddress(row['mac_address'])
  if (networkId === undefined) throw brokenAnswer(`port "${portId}" has no "network_id"`)
  if (macAddress === undefined) throw brokenAnswer(`port "${portId}" has no "mac_address"`)
  const instanceId = parseInstanceId(row['device_id'])
  // Servers before 2017 know only tenant_id.
  const projectId = parseProjectId(row['project_id'] ?? row['tenant_id'])
  const { device_owner: deviceOwner, name, revision_number: revision } = row
  return {
    port: {
      portId,
      networkId,
      macAddress,
      fixedIps: parseFixedIps(row['fixed_ips'], portId),
      ...(instanceId !== undefined && { instanceId }),
      ...(projectId !== undefined && { projectId }),
      ...(typeof deviceOwner === 'string' && deviceOwner !== '' && { deviceOwner }),
      ...(typeof name === 'string' && name !== '' && { name: name.slice(0, longestName) }),
    },
    ...(typeof revision === 'number' && { revision }),
  }
}

/** The router whose interface a port is; absent for every other port, gateways and DVR's SNAT ports included. */
export function routerOfInterface(port: Port): RouterId | undefined {
  if (port.deviceOwner === undefined || !routerInterfaceOwners.has(port.deviceOwner))
    return undefined
  return parseRouterId(port.instanceId)
}
