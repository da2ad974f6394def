import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import { parseCidr, parseIpAddress } from '../../../lib/identity/ip-address.ts'
import {
  parseNetworkId,
  parsePortId,
  parseProjectId,
  parseInstanceId,
  parseRouterId,
} from '../../../lib/identity/ids.ts'
import { parseMacAddress } from '../../../lib/identity/mac-address.ts'
import { z } from '../../../lib/files/schema.ts'

/** What may be written about projects, networks, routers and ports in the file? */

const idText = 'an id: letters, digits and . _ : - (put digits alone into quotes)'

function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** A value that one of the shared parsers reads; the problem names what was expected. */
export function parsedBy<Value>(
  parse: (value: unknown) => Value | undefined,
  expected: string,
): z.ZodPipe<z.ZodUnknown, z.ZodTransform<Awaited<Value>>> {
  return z.unknown().transform((value, context) => {
    const parsed = parse(value)
    if (parsed !== undefined) return parsed as Awaited<Value>
    context.addIssue({ code: 'custom', message: `expected ${expected}, received ${shown(value)}` })
    return z.NEVER
  })
}

function parseAddress(value: unknown): IpAddress | undefined {
  const address = parseIpAddress(value)
  // A zone belongs to a host's interface; in a file it would be dropped without a word.
  return typeof value === 'string' && value.includes('%') ? undefined : address
}

function parseReference(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 255 ? value : undefined
}

/** A name for people, as Neutron and Nova allow it. */
export const nameSchema = z.string().min(1).max(255)
/** The id or the name of something declared elsewhere in the file. */
export const referenceSchema = parsedBy(parseReference, 'an id or a name')
export const instanceIdSchema = parsedBy(parseInstanceId, idText)
export const addressSchema = parsedBy(parseAddress, 'an IP address such as 10.0.0.10 or fd00::10')
const macSchema = parsedBy(parseMacAddress, 'a MAC address such as fa:16:3e:00:00:10')
const cidrSchema = parsedBy(parseCidr, 'a subnet such as 10.0.0.0/24 or fd00::/64')

/** One entry of `projects`. */
export const projectSchema = z.strictObject({
  id: parsedBy(parseProjectId, idText),
  name: nameSchema.optional(),
})

/** A subnet in Neutron's words. */
const subnetSchema = z.strictObject({
  cidr: cidrSchema,
  /** Absent: the first address, as in Neutron. `null`: none. */
  gateway_ip: addressSchema.nullable().optional(),
  dns_nameservers: z.array(addressSchema).default([]),
  host_routes: z
    .array(z.strictObject({ destination: cidrSchema, nexthop: addressSchema }))
    .default([]),
  enable_dhcp: z.boolean().default(false),
  ipv6_address_mode: z.enum(['slaac', 'dhcpv6-stateful', 'dhcpv6-stateless']).optional(),
})

/** One entry of `networks`. */
export const networkSchema = z.strictObject({
  id: parsedBy(parseNetworkId, idText),
  name: nameSchema.optional(),
  project: referenceSchema.optional(),
  mtu: z.int().min(68).max(65_535).default(1500),
  /** `10.0.0.0/24` alone stands for a subnet with Neutron's defaults. */
  subnets: z
    .array(
      z.preprocess((value) => (typeof value === 'string' ? { cidr: value } : value), subnetSchema),
    )
    .default([]),
})

/** One entry of `routers`. */
export const routerSchema = z.strictObject({
  id: parsedBy(parseRouterId, idText),
  name: nameSchema.optional(),
  project: referenceSchema.optional(),
  networks: z.array(referenceSchema).default([]),
})

/** A port as it stands under an instance. */
export const ownedPortSchema = z.strictObject({
  id: parsedBy(parsePortId, idText).optional(),
  name: nameSchema.optional(),
  network: referenceSchema,
  mac: macSchema,
  fixed_ips: z.array(addressSchema).default([]),
  project: referenceSchema.optional(),
  device_owner: z.string().max(255).optional(),
})

/** A port as it stands by itself: it may belong to an instance, to a router, or to nothing. */
export const portSchema = ownedPortSchema.extend({
  instance: referenceSchema.optional(),
  router: referenceSchema.optional(),
})

/** An entry of `networks`, defaults filled in. */
export type NetworkEntry = z.output<typeof networkSchema>
/** A subnet of a network, defaults filled in. */
export type Subnet = z.output<typeof subnetSchema>
/** An entry of `ports`, defaults filled in. */
export type PortEntry = z.output<typeof portSchema>
