/** Which addresses do guests know the metadata service by? */
import type { IpAddress } from '../identity/ip-address.ts'

/** Of every cloud. */
export const metadataIpv4 = '169.254.169.254' as IpAddress
/** Neutron's `METADATA_V6_IP`. */
export const metadataIpv6 = 'fe80::a9fe:a9fe' as IpAddress
/** `instance-data` is the name that clients of EC2 try. Any port counts: the name is what a rebinding cannot have. */
const metadataHost =
  /^(?:169\.254\.169\.254|\[fe80::a9fe:a9fe(?:%[\w.%-]{1,20})?\]|instance-data\.?)(?::\d{1,5})?$/i

/** True for a `Host` that names the metadata service itself. */
export function isMetadataHost(host: string): boolean {
  return host === metadataIpv4 || metadataHost.test(host)
}
/** HTTP. */
export const metadataTcpPort = 80
