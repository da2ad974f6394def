/** Of which answers is a directory certain that does not know everything at this moment? */
import type { IpAddress } from '../../../lib/identity/ip-address.ts'
import type { NetworkId } from '../../../lib/identity/ids.ts'
import type { MacAddress } from '../../../lib/identity/mac-address.ts'
import type { Port, PortQuery } from '../directory/port-directory.ts'
import { portFacts } from './port-facts.ts'
import type { SouthboundCopy } from './southbound-copy.ts'

/**
 * Whether an old copy can be trusted: one port, and the MAC of the request is its own. An unknown MAC may be a new port that
 * has the address now, several ports may be one by now, and nothing at all may be a port that came since.
 */
export function isSettled({ macAddress }: PortQuery, ports: readonly Port[]): boolean {
  const [only] = ports
  return ports.length === 1 && (macAddress === undefined || only?.macAddress === macAddress)
}

/**
 * The port of a network whose own rows are there, without the routers' side of its interfaces. It has both the address and the
 * MAC, each of which Neutron gives once in a network, and no other port or interface has the address.
 */
export function certainPort(
  copy: SouthboundCopy,
  networkId: NetworkId,
  fixedIp: IpAddress,
  macAddress: MacAddress,
): Port | undefined {
  const [port, ...others] = copy.find({ networkIds: [networkId], fixedIp, macAddress })
  if (port?.macAddress !== macAddress || others.length > 0) return undefined
  for (const datapath of copy.datapathsNamed(networkId)) {
    for (const attachment of copy.joints?.attachmentsOn(datapath) ?? []) {
      const facts = portFacts(attachment, macAddress)
      if (typeof facts !== 'string' && facts.fixedIps.includes(fixedIp)) return undefined
    }
  }
  return port.fixedIps.includes(fixedIp) ? port : undefined
}
