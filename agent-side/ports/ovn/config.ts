import type { ConfigOf, Table } from '../../../lib/config/entry.ts'
import { openVswitchDatabase } from '../../../lib/config/defaults.ts'
import { duration, flag, text } from '../../../lib/config/option.ts'
import { optional } from '../../../lib/config/structure.ts'
import { ovsdbEndpointOption, ovsdbTimes, southboundServers } from '../../../lib/ovsdb/options.ts'

/** The options of `kind: ovn`. Where Neutron has an option for the same thing, its name is used. */
export const ovnTable = {
  ...southboundServers,
  leader_only: flag({
    help: "Use only the leader of a clustered database. Off, as in Neutron's agents, any member serves that is connected to its cluster and not behind it: the load of many hosts is spread, and a copy is some milliseconds older. Relays are never leaders and are used in both cases.",
    default: false,
  }),
  ...ovsdbTimes,
  max_unconfirmed: duration({
    help: 'How long instances are named from a copy that no server confirms. Afterwards guests get 503 and try again, and leases are revoked. Not less than two probe intervals while a server is connected.',
    default: '5s',
    min: '0s',
    max: '1h',
  }),
  max_disconnected: duration({
    help: 'How long the agent counts as ready while no server confirms the copy. Guests get 503 before: see max_unconfirmed.',
    default: '30s',
    min: '0s',
    max: '1d',
  }),
  report_agent: flag({
    help: 'Tell Neutron that an "OVN Metadata agent" lives on this chassis, by external_ids of its Chassis_Private row.',
    default: false,
  }),
  chassis: optional(
    text({
      help: 'Name of the chassis to report for. Without it, external_ids:system-id of the local Open vSwitch is used.',
    }),
  ),
  ovsdb_connection: ovsdbEndpointOption({
    help: 'Local Open vSwitch database, read for the name of the chassis and of the bridge when report_agent is on.',
    default: openVswitchDatabase,
  }),
  agent_down_time: duration({
    help: "Neutron's agent_down_time. Reports are delayed at random by up to a third of it, 10 s at most, so that all hosts do not write at once.",
    default: '75s',
    min: '1s',
    max: '1h',
  }),
} as const satisfies Table

/** What {@link ovnTable} reads as. */
export type OvnConfig = ConfigOf<typeof ovnTable>
