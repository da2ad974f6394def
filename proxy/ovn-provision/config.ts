/** What can an operator decide about provisioning? Neutron's names where Neutron has an option for the same thing. */
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { openVswitchDatabase } from '../../lib/config/defaults.ts'
import { flag, text } from '../../lib/config/option.ts'
import { optional, section } from '../../lib/config/structure.ts'
import type { LogLevel } from '../../lib/runtime/log.ts'
import type { OvsdbTlsFiles } from '../../lib/ovsdb/endpoint.ts'
import {
  ovsdbEndpointOption,
  ovsdbLimits,
  ovsdbTimes,
  southboundServers,
} from '../../lib/ovsdb/options.ts'
import type { PlannerConfig } from './shared/protocol.ts'

/** The section `ovn_provision`. */
export const ovnProvisionOption = section(
  {
    enabled: flag({
      help: "Make and remove the metadata namespaces of OVN networks, as Neutron's OVN metadata agent does. Not needed where that agent runs.",
      default: false,
    }),
    ...southboundServers,
    leader_only: flag({
      help: "Use only the leader of a clustered southbound database. Off, any connected member serves, which spreads the load of many hosts; a follower's copy is some milliseconds older.",
      default: false,
    }),
    ...ovsdbTimes,
    ovsdb_connection: ovsdbEndpointOption({
      help: 'Local Open vSwitch database: it names the chassis of this host, and metadata ports are plugged in there.',
      default: openVswitchDatabase,
    }),
    integration_bridge: text({
      help: 'Bridge of instances where external_ids:ovn-bridge of the local Open vSwitch names none.',
      default: 'br-int',
      pattern: /^[^\s/]{1,15}$/,
      expected: 'the name of a bridge',
    }),
    chassis: optional(
      text({
        help: 'Name of the chassis this host is. Without it, external_ids:system-id of the local Open vSwitch counts.',
      }),
    ),
    user: text({
      help: 'Who the process that reads the databases runs as, by name or number. Used when the proxy may change it. The proxy opens UNIX sockets and certificates for it.',
      default: 'nobody',
    }),
    group: optional(text({ help: "Its group, by name or number; the user's own otherwise." })),
  },
  { help: 'Provisioning of OVN metadata namespaces.' },
)

/** What {@link ovnProvisionOption} reads as. */
export type OvnProvisionConfig = ValueOf<typeof ovnProvisionOption>

/** What no single option can know. */
export function ovnProvisionProblems(config: {
  readonly ovn_provision: OvnProvisionConfig
  readonly discover: boolean
  readonly kinds: readonly string[]
}): readonly ConfigProblem[] {
  const { ovn_provision: own, discover, kinds } = config
  if (!own.enabled) return []
  const problems: ConfigProblem[] = []
  if (!discover || !kinds.includes('ovn')) {
    const message = 'is on, and discover and kinds leave out what is made: namespaces of kind ovn'
    problems.push({ path: 'ovn_provision.enabled', message })
  }
  if ((own.ovn_sb_private_key === undefined) !== (own.ovn_sb_certificate === undefined)) {
    const message = 'must be given together with ovn_provision.ovn_sb_certificate, or neither'
    problems.push({ path: 'ovn_provision.ovn_sb_private_key', message })
  }
  return problems
}

/** The same in the words of the planner. */
export function plannerConfig(config: OvnProvisionConfig, logLevel: LogLevel): PlannerConfig {
  return {
    logLevel,
    southbound: config.ovn_sb_connection,
    leaderOnly: config.leader_only,
    local: config.ovsdb_connection,
    bridge: config.integration_bridge,
    ...(config.chassis !== undefined && { chassis: config.chassis }),
    limits: ovsdbLimits(config),
  }
}

/** The same in the words of the OVSDB client. */
export function plannerTlsFiles(config: OvnProvisionConfig): OvsdbTlsFiles {
  return {
    privateKey: config.ovn_sb_private_key,
    certificate: config.ovn_sb_certificate,
    caCertificate: config.ovn_sb_ca_cert,
    verifyHost: config.verify_server_name,
  }
}
