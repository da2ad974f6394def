/** What must the kernel do with packets to the metadata address in a router's namespace? */
import type { Count } from '../../lib/runtime/clock.ts'
import { metadataIpv4, metadataIpv6, metadataTcpPort } from '../../lib/wire/metadata-address.ts'

export interface RulesetOptions {
  /** The interfaces guests are behind: a name, a prefix with `*` such as `qr-*`, or `*` for every interface of a tenant. */
  readonly interface: string
  /** Where our listener is. */
  readonly tcpPort: number
  readonly families: readonly ('ip' | 'ip6')[]
  /** Redirect connections from inside over loopback, as the canary does. */
  readonly canary?: boolean
}

/** All that we own in a namespace; deleting it undoes everything. */
export const tableName = 'overlapd'
const table = `inet ${tableName}`

/** Loopback, and the devices by which Neutron connects routers to the outside and to each other. No guest is behind them. */
const notOfTenants = ['lo', 'qg-*', 'rfp-*', 'ha-*']

/** Five before the usual places, so that rules of others in the same hook see what we decided. */
const before = '- 5'

/**
 * One transaction for `nft -f -` that replaces our table whatever state it is in: there is no moment without rules.
 *
 * A packet to the metadata address is redirected to our port. The port itself takes only connections whose *first* destination was the
 * metadata address, by whoever's redirection; every other is dropped, so it cannot be reached through the router's own addresses.
 * What could not be redirected (a full connection tracking table) never leaves the router. When the entry of a connection was lost and we
 * are the next to send, the packet makes a new entry: its source is the metadata address again, and what comes back is of that entry.
 * @see neutron/agent/metadata/driver.py for the rules these stand beside
 */
export function interceptionRuleset(options: RulesetOptions): string {
  const { families, tcpPort } = options
  const each = (rule: (family: 'ip' | 'ip6', address: string) => string): string =>
    families.map((family) => `    ${rule(family, addresses[family])}\n`).join('')
  return `add table ${table}
delete table ${table}
table ${table} {
  chain redirect_metadata {
    type nat hook prerouting priority dstnat ${before}; policy accept;
${interfaceRules(options.interface)}${each((family, address) => `${family} daddr ${address} tcp dport ${metadataTcpPort} counter redirect to :${tcpPort}`)}  }
${options.canary === true ? canaryChain(tcpPort) : ''}  chain keep_source {
    type nat hook postrouting priority srcnat ${before}; policy accept;
${each((family) => `tcp sport ${tcpPort} fib saddr type local meta nfproto ${protocols[family]} snat ${family} to ${places[family]}`)}  }
  chain guard_listener {
    type filter hook input priority filter ${before}; policy accept;
${each((family, address) => `tcp dport ${tcpPort} ct status dnat ct original ${family} daddr ${address} accept`)}${each((family, address) => `tcp dport ${tcpPort} ct status snat ct reply ${family} daddr ${address} accept`)}    tcp dport ${tcpPort} counter drop
  }
  chain keep_inside {
    type filter hook forward priority filter ${before}; policy accept;
${each((family, address) => `${family} daddr ${address} counter drop`)}  }
}
`
}

/** How many rules the kernel has of a ruleset of {@link interceptionRuleset} once it is loaded. */
export function ruleCountOf(ruleset: string): Count {
  const lines = ruleset.split('\n')
  // Four spaces deep are the hooks of the chains, and their rules.
  return lines.filter((line) => line.startsWith('    ') && !line.startsWith('    type ')).length
}

/** Packets made here pass no prerouting hook. Loopback has no link-local address, so there is nothing to do for IPv6. */
function canaryChain(tcpPort: number): string {
  return `  chain redirect_canary {
    type nat hook output priority -105; policy accept;
    oifname "lo" ip daddr ${metadataIpv4} tcp dport ${metadataTcpPort} redirect to :${tcpPort}
  }
`
}

const addresses = { ip: metadataIpv4, ip6: metadataIpv6 } as const
const protocols = { ip: 'ipv4', ip6: 'ipv6' } as const
const places = {
  ip: `${metadataIpv4}:${metadataTcpPort}`,
  ip6: `[${metadataIpv6}]:${metadataTcpPort}`,
} as const

function interfaceRules(name: string): string {
  if (name !== '*') return `    iifname != "${name}" return\n`
  return notOfTenants.map((other) => `    iifname "${other}" return\n`).join('')
}
