import { parsePortId, type PortId } from '../../../../lib/identity/ids.ts'
import {
  brokenAnswer,
  parseNeutronPort,
  type JsonObject,
  type NeutronPort,
} from '../../directory/neutron-port.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'

/** One port of a push. Neutron sends `updated` for creations too, and names nothing but the id of what is gone. */
export type PortEvent =
  | { readonly kind: 'updated'; readonly held: NeutronPort }
  | { readonly kind: 'deleted'; readonly portId: PortId }

const nameKey = 'versioned_object.name'
const versionKey = 'versioned_object.version'
const dataKey = 'versioned_object.data'

/** Takes the covers off an object and all that it holds: what remains has the fields of the API's JSON. */
function uncovered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(uncovered)
  if (!isMapping(value)) return value
  const data = value[dataKey]
  const fields = nameKey in value && isMapping(data) ? data : value
  return Object.fromEntries(Object.entries(fields).map(([key, inner]) => [key, uncovered(inner)]))
}

/** The fields of a `Port` object. @throws MetadataError `directory_unavailable` when it is another thing */
function portFields(primitive: unknown): JsonObject {
  if (!isMapping(primitive) || primitive[nameKey] !== 'Port') {
    throw brokenAnswer('a versioned object is not a "Port"')
  }
  const data = primitive[dataKey]
  if (!isMapping(data)) throw brokenAnswer('a versioned object has no data')
  // Only what is read is uncovered: bindings and security groups are the larger part.
  return { ...data, fixed_ips: uncovered(data['fixed_ips']) }
}

/** The `1.7` of a versioned object, or `undefined`. */
export function objectVersion(primitive: unknown): string | undefined {
  const version = isMapping(primitive) ? primitive[versionKey] : undefined
  return typeof version === 'string' && /^\d{1,4}\.\d{1,4}$/.test(version) ? version : undefined
}

/**
 * Reads a `Port` as `obj_to_primitive` writes it.
 * @throws MetadataError `directory_unavailable` when a field that is read has the wrong type
 */
export function parsePortObject(primitive: unknown): NeutronPort {
  return parseNeutronPort(portFields(primitive))
}

/**
 * Reads the arguments of `push`: a list of objects of one type and what happened to them.
 * @returns nothing for objects of other types
 * @throws MetadataError `directory_unavailable` when it is no push, or one of a port that cannot be read
 * @see neutron/api/rpc/handlers/resources_rpc.py, ResourcesPushRpcCallback
 */
export function parsePush(args: JsonObject): readonly PortEvent[] {
  const { resource_list: resources, event_type: event } = args
  if (!Array.isArray(resources)) throw brokenAnswer('a push has no "resource_list"')
  if (event !== 'created' && event !== 'updated' && event !== 'deleted') {
    throw brokenAnswer('a push has no known "event_type"')
  }
  const ports = (resources as readonly unknown[]).filter(
    (resource) => !isMapping(resource) || resource[nameKey] === 'Port',
  )
  return ports.map((primitive): PortEvent => {
    if (event !== 'deleted') return { kind: 'updated', held: parsePortObject(primitive) }
    const portId = parsePortId(portFields(primitive)['id'])
    if (portId === undefined) throw brokenAnswer('a deleted port has no "id"')
    return { kind: 'deleted', portId }
  })
}
