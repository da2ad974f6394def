/** Which addresses do guests know the metadata service by? */
import type { IpAddress } from '../identity/ip-address.ts'

/** Of every cloud. */
export const metadataIpv4 = '169.254.169.254' as IpAddress
/** Neutron's `METADATA_V6_IP`. */
export const metadataIpv6 = 'fe80::a9fe:a9fe' as IpAddress
/** HTTP. */
export const metadataTcpPort = 80
