import {
  parseNetworkId,
  parsePortId,
  parseRouterId,
  type NetworkId,
  type RouterId,
} from '../../../../lib/identity/ids.ts'
import { brokenAnswer, parseNeutronPort, type JsonObject } from '../../directory/neutron-port.ts'
import { longestTag, mostShieldTags, shieldTagPrefix } from '../../../../lib/shield/network-tag.ts'
import { isMapping } from '../../../../lib/runtime/mapping.ts'
import {
  routerInterfaceOwners,
  type Port,
  type RouterInterface,
} from '../../directory/port-directory.ts'
import { parseJsonObject } from '../http/json.ts'
import type { Collection } from './ports-query.ts'

/** The fields of each port that are read. Older servers know only `tenant_id`. */
export const portFields = [
  'id',
  'network_id',
  'mac_address',
  'fixed_ips',
  'device_id',
  'device_owner',
  'project_id',
  'tenant_id',
  'name',
] as const

/** Only who may see the ports of all projects is shown this one. */
const administratorField = 'binding:host_id'

/** The fields of a router's ports that are read. */
export const routerInterfaceFields = [
  'id',
  'network_id',
  'device_id',
  'device_owner',
  administratorField,
] as const

/** One of a router's own ports. */
export interface RouterPort extends RouterInterface {
  readonly routerId: RouterId
  /** False when we are shown the port as its project is. */
  readonly asAdministrator: boolean
}

/** The fields of a network that are read. */
export const networkTagFields = ['id', 'tags'] as const

/** The tags of a network, as far as they may be for the shield. */
export interface TaggedNetwork {
  readonly networkId: NetworkId
  /** Sorted; one more than are read shows that there are more. */
  readonly tags: readonly string[]
}

/**
 * Reads the tags of one network.
 * @throws MetadataError `directory_unavailable` when there are none to read: what they demand is not known then
 */
export function parseTaggedNetwork(row: JsonObject): TaggedNetwork {
  const { id, tags: all } = row
  const networkId = parseNetworkId(id)
  if (networkId === undefined) throw brokenAnswer('a network has no "id"')
  if (!Array.isArray(all)) throw brokenAnswer('a network has no "tags"')
  const own = (all as readonly unknown[]).filter(
    (tag): tag is string => typeof tag === 'string' && tag.startsWith(shieldTagPrefix),
  )
  const tags = own.toSorted().slice(0, mostShieldTags + 1)
  return { networkId, tags: tags.map((tag) => tag.slice(0, longestTag)) }
}

/** One page of a list of ports. */
export interface PortsPage<Row> {
  readonly rows: readonly Row[]
  /** The id of the last port when the server has more. */
  readonly marker?: string
}

/**
 * Reads one port.
 * @throws MetadataError `directory_unavailable` when a field is missing or has the wrong type
 */
export function parsePort(row: JsonObject): Port {
  return parseNeutronPort(row).port
}

/**
 * Reads one interface of a router; a port of another owner, which a server that ignores filters would give, is
 * `undefined`.
 * @throws MetadataError `directory_unavailable` when a field has the wrong type
 */
export function parseRouterPort(row: JsonObject): RouterPort | undefined {
  const { device_owner: owner } = row
  if (typeof owner !== 'string') throw brokenAnswer('a port has no "device_owner"')
  if (!routerInterfaceOwners.has(owner)) return undefined
  const routerId = parseRouterId(row['device_id'])
  const networkId = parseNetworkId(row['network_id'])
  if (routerId === undefined) throw brokenAnswer('a router interface has no "device_id"')
  if (networkId === undefined) throw brokenAnswer('a router interface has no "network_id"')
  const portId = parsePortId(row['id'])
  if (portId === undefined) throw brokenAnswer('a router interface has no "id"')
  return { routerId, networkId, portId, asAdministrator: Object.hasOwn(row, administratorField) }
}

/**
 * Reads `{"ports": […], "ports_links": [{"rel": "next", "href": …}]}`, or the same of networks. That there is a next link counts, where it
 * leads does not: a server, or a proxy in front of it, must not send our token elsewhere.
 * @throws MetadataError `directory_unavailable` when it is anything else
 */
export function parsePortsPage<Row>(
  text: string,
  parseRow: (row: JsonObject) => Row | undefined,
  collection: Collection = 'ports',
): PortsPage<Row> {
  const { [collection]: listed, [`${collection}_links`]: links } = parseJsonObject(text)
  if (!Array.isArray(listed)) throw brokenAnswer(`"${collection}" is not a list`)
  const one = collection === 'ports' ? 'a port' : 'a network'
  const rows: Row[] = []
  for (const entry of listed as readonly unknown[]) {
    if (!isMapping(entry)) throw brokenAnswer(`${one} is not an object`)
    const row = parseRow(entry)
    if (row !== undefined) rows.push(row)
  }
  const hasNext =
    Array.isArray(links) && links.some((link) => isMapping(link) && link['rel'] === 'next')
  if (!hasNext || listed.length === 0) return { rows }
  const last: unknown = listed.at(-1)
  const marker = parsePortId(isMapping(last) ? last['id'] : undefined)
  if (marker === undefined) throw brokenAnswer(`${one} has no "id"`)
  return { rows, marker }
}
