/** Which of Neutron's and Nova's things does a piece of text name? Ids are parsed at the edge and trusted inside. */

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** The UUID of a Nova server; a port's `device_id` when a compute service owns it. */
export type InstanceId = Branded<'InstanceId'>
/** The owner of a port or instance (`X-Tenant-ID` on the wire). */
export type ProjectId = Branded<'ProjectId'>
export type NetworkId = Branded<'NetworkId'>
export type RouterId = Branded<'RouterId'>
export type PortId = Branded<'PortId'>

/** Neutron stores 255 characters of a `device_id`; the character set is what is safe in a header, a path and a log line. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/

function isId(text: unknown): text is string {
  return typeof text === 'string' && idPattern.test(text)
}

/** @returns the id, or `undefined` when the text cannot be one */
export function parseInstanceId(text: unknown): InstanceId | undefined {
  return isId(text) ? (text as InstanceId) : undefined
}
/** @returns the id, or `undefined` when the text cannot be one */
export function parseProjectId(text: unknown): ProjectId | undefined {
  return isId(text) ? (text as ProjectId) : undefined
}
/** @returns the id, or `undefined` when the text cannot be one */
export function parseNetworkId(text: unknown): NetworkId | undefined {
  return isId(text) ? (text as NetworkId) : undefined
}
/** @returns the id, or `undefined` when the text cannot be one */
export function parseRouterId(text: unknown): RouterId | undefined {
  return isId(text) ? (text as RouterId) : undefined
}
/** @returns the id, or `undefined` when the text cannot be one */
export function parsePortId(text: unknown): PortId | undefined {
  return isId(text) ? (text as PortId) : undefined
}
