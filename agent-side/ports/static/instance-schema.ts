import { z } from '../../../lib/files/schema.ts'
import {
  addressSchema,
  instanceIdSchema,
  nameSchema,
  ownedPortSchema,
  referenceSchema,
} from './schema.ts'

/** What may be written about instances, of which only id, project and ports matter to the directory? */

/** A token of a header, a path or a listing: nothing that could end a line. */
const wordSchema = z.string().regex(/^[\x20-\x7e]{1,255}$/, 'expected printable ASCII text')
const jsonObjectSchema = z.record(z.string(), z.json())

const keySchema = z.strictObject({
  name: wordSchema,
  type: z.enum(['ssh', 'x509']).default('ssh'),
  data: z.string().max(65_536),
})

/** An instance, with everything the compute metadata API serves about it. All but a name or an id has a default. */
export const instanceSchema = z
  .strictObject({
    id: instanceIdSchema.optional(),
    name: nameSchema.optional(),
    project: referenceSchema.optional(),
    ports: z.array(ownedPortSchema).default([]),
    hostname: wordSchema.optional(),
    ec2_id: wordSchema.optional(),
    ami_id: wordSchema.nullable().default('ami-00000001'),
    kernel_id: wordSchema.optional(),
    ramdisk_id: wordSchema.optional(),
    flavor: wordSchema.default('m1.small'),
    availability_zone: wordSchema.nullable().default('nova'),
    launch_index: z.int().min(0).default(0),
    reservation_id: wordSchema.optional(),
    key: keySchema.optional(),
    meta: z.record(z.string(), z.string()).optional(),
    security_groups: z.array(wordSchema).default(['default']),
    /** `null`: not known, as for instances that never ran. */
    root_device: wordSchema.nullable().default('/dev/vda'),
    block_devices: z
      .record(z.string().regex(/^(?:ephemeral\d+|swap|ebs\d+)$/), wordSchema)
      .default({}),
    user_data: z.string().optional(),
    user_data_base64: z.base64().optional(),
    password: z.string().max(1020).nullable().default(null),
    /** Absent: those of the ports. */
    fixed_ips: z.array(addressSchema).optional(),
    floating_ips: z.array(addressSchema).default([]),
    devices: z.array(jsonObjectSchema).default([]),
    dedicated_cpus: z.array(z.int().min(0)).default([]),
    /** Absent: made from the ports and their subnets. */
    network_data: jsonObjectSchema.optional(),
    vendor_data: jsonObjectSchema.optional(),
    vendor_data2: jsonObjectSchema.optional(),
  })
  .refine((instance) => instance.id !== undefined || instance.name !== undefined, {
    message: 'expected an id or a name',
  })
  .refine(
    (instance) => instance.user_data === undefined || instance.user_data_base64 === undefined,
    { message: 'expected user_data or user_data_base64, not both' },
  )

/** One entry of `instances`, defaults filled in. */
export type InstanceEntry = z.output<typeof instanceSchema>

function regularExpression(value: string, context: z.RefinementCtx): RegExp {
  try {
    return new RegExp(value, 'u')
  } catch (cause) {
    context.addIssue({ code: 'custom', message: `expected a regular expression: ${String(cause)}` })
    return z.NEVER
  }
}

/** What the development API is to do instead of answering properly. The first fault that fits is used. */
const faultSchema = z.strictObject({
  /** Searched for in the normalised path. */
  path: z.string().max(500).transform(regularExpression).optional(),
  /** An instance's id, or `*`. */
  instance: z.string().default('*'),
  status: z.int().min(200).max(599).optional(),
  /** Seconds before the answer. */
  delay: z.number().min(0).max(3_600).default(0),
  /** How often; absent: always. */
  times: z.int().min(1).optional(),
  headers: z.record(z.string().regex(/^[!#$%&'*+.^`|~\w-]+$/), wordSchema).default({}),
  body: z.string().optional(),
  /** Ends the connection without an answer. */
  reset: z.boolean().default(false),
})

/** One entry of `compute.faults`, defaults filled in. */
export type FaultEntry = z.output<typeof faultSchema>

/** Settings of the embedded compute metadata API; the directory ignores them. */
export const computeSchema = z.strictObject({
  /** Only for a file that is used for development; in earnest the secret has a file of its own. */
  shared_secret: z.string().optional(),
  dhcp_domain: z
    .string()
    .regex(/^[A-Za-z0-9.-]*$/)
    .default('novalocal'),
  /** Seconds for which an instance is answered as it was first seen; 0: never stale. */
  cache_seconds: z.number().min(0).max(3_600).default(0),
  /** Nova's option of this name; an empty list makes vendor_data.json a 404. */
  vendordata_providers: z.array(z.enum(['StaticJSON'])).default(['StaticJSON']),
  /** For every instance that has none of its own. */
  vendor_data: jsonObjectSchema.default({}),
  faults: z.array(faultSchema).max(1_000).default([]),
})

/** The section `compute`, defaults filled in. */
export type ComputeEntry = z.output<typeof computeSchema>
