import { createHash } from 'node:crypto'

/** The name space in which Neutron turns the names of chassis into UUIDs. @see neutron/agent/ovn/metadata/agent.py */
const chassisNames = 'd34bf9f6-da32-4871-9af8-15a4626b41ab'
const uuidText = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/

/** A name-based UUID, version 5 (RFC 9562 §5.5). */
function uuidOfName(space: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(space.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80
  const hex = hash.toString('hex', 0, 16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)]
  return [...parts, hex.slice(20)].join('-')
}

/**
 * The id under which Neutron lists the metadata agent of a chassis. It is the one that Neutron's own agent
 * would have there, so that replacing one by the other leaves no dead agent in the list.
 */
export function chassisAgentId(chassis: string): string {
  const lower = chassis.toLowerCase()
  const chassisId = uuidText.test(lower) ? lower : uuidOfName(chassisNames, chassis)
  return uuidOfName(chassisId, 'metadata_agent')
}
