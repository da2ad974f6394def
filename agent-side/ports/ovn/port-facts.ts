import { parsePortId } from '../../../lib/identity/ids.ts'
import { parseIpAddress, type IpAddress } from '../../../lib/identity/ip-address.ts'
import { parseMacAddress, type MacAddress } from '../../../lib/identity/mac-address.ts'
import { macStrings, type PortBinding } from './schema.ts'

/** What a row of Port_Binding holds about the addresses of a Neutron port. */
export interface PortFacts {
  readonly macAddress: MacAddress
  readonly fixedIps: readonly IpAddress[]
}

/**
 * Why a row is not one of a Neutron port: the `router_side` of an interface, whose other side is the port; no
 * id (`unreadable_id`), no MAC (`no_mac`), or several of which none is clearly the port's own (`unclear_mac`).
 */
export type NoPort = 'router_side' | 'unreadable_id' | 'no_mac' | 'unclear_mac'
export const noPortReasons: readonly NoPort[] = [
  'router_side',
  'unreadable_id',
  'no_mac',
  'unclear_mac',
]

const routerSidePrefix = 'lrp-'
const routerSideTypes: ReadonlySet<string> = new Set(['patch', 'l3gateway', 'chassisredirect'])
const interfaceTypes: ReadonlySet<string> = new Set(['patch', 'l3gateway'])

/**
 * True when OVN itself joins a switch to a router here. A tenant may write a router's `device_owner` on a port of
 * its own, but not make it one of these.
 */
export function isRouterAttachment(binding: PortBinding): boolean {
  return interfaceTypes.has(binding.type) && !isRouterSide(binding)
}

/** Whether a row is on the side of a router: of an interface, a gateway, or its redirect to a chassis. */
export function isRouterSide({ logicalPort, type }: PortBinding): boolean {
  return (
    routerSideTypes.has(type) &&
    (logicalPort.startsWith(routerSidePrefix) || logicalPort.startsWith(`cr-${routerSidePrefix}`))
  )
}

/**
 * The port and MAC of a router interface, as its router side shows. On the switch's side the row has only
 * `router` in place of addresses. Neutron names the one `lrp-` and the port's id.
 */
export function routerSideMac(
  binding: PortBinding,
): { readonly logicalPort: string; readonly macAddress: MacAddress } | undefined {
  if (!interfaceTypes.has(binding.type) || !isRouterSide(binding)) return undefined
  for (const text of macStrings(binding)) {
    const macAddress = parseMacAddress(text.trim().split(/\s/, 1)[0])
    const logicalPort = binding.logicalPort.slice(routerSidePrefix.length)
    if (macAddress !== undefined) return { logicalPort, macAddress }
  }
  return undefined
}

/** The addresses in `10.0.0.10/24 fd00::10/64` or in `10.0.0.10 fd00::10`; what is none is passed over. */
function addressesIn(words: readonly string[], into: Set<IpAddress>): void {
  for (const word of words) {
    const slash = word.indexOf('/')
    const address = parseIpAddress(slash === -1 ? word : word.slice(0, slash))
    if (address !== undefined) into.add(address)
  }
}

/**
 * Reads the addresses of a port: the strings of `mac` (`MAC IP IP…`) and `neutron:cidrs`, which agree unless an operator
 * else than Neutron wrote one of them. Each address counts, so that a doubtful one makes two ports ambiguous
 * rather than one of them wrong.
 *
 * The port's own MAC is the one that stands with addresses. Strings with nothing but a MAC come from allowed address
 * pairs, which tenants choose, and a set has no first: among several bare ones none is taken.
 * @see neutron ovn_client.py _get_port_options
 */
export function portFacts(
  binding: PortBinding,
  routerMac: MacAddress | undefined,
): PortFacts | NoPort {
  if (isRouterSide(binding)) return 'router_side'
  if (parsePortId(binding.logicalPort) === undefined) return 'unreadable_id'
  const fixedIps = new Set<IpAddress>()
  const withAddresses: MacAddress[] = []
  const bare = new Set<MacAddress>()
  for (const text of macStrings(binding)) {
    const [first, ...words] = text.trim().split(/\s+/)
    const macAddress = first === 'router' ? routerMac : parseMacAddress(first)
    if (macAddress === undefined) continue
    addressesIn(words, fixedIps)
    if (words.length > 0) withAddresses.push(macAddress)
    else bare.add(macAddress)
  }
  if (binding.cidrs !== undefined) addressesIn(binding.cidrs.split(/\s+/), fixedIps)
  const [own] = withAddresses.length > 0 ? withAddresses.sort() : bare
  if (own === undefined) return 'no_mac'
  if (withAddresses.length === 0 && bare.size > 1) return 'unclear_mac'
  return { macAddress: own, fixedIps: [...fixedIps] }
}
