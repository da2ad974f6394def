import type { ConfigOf, Table } from '../../../lib/config/entry.ts'
import { openVswitchDatabase } from '../../../lib/config/defaults.ts'
import { duration, flag, oneOf, text } from '../../../lib/config/option.ts'
import { optional } from '../../../lib/config/structure.ts'
import { ovsdbEndpointOption, ovsdbTimes, southboundServers } from '../../../lib/ovsdb/options.ts'

/** The options of `kind: ovn`. Where Neutron has an option for the same thing, its name is used. */
export const ovnTable = {
  ...southboundServers,
  copy: optional(
    oneOf(['served', 'all'], {
      help: 'Which ports are copied. served: those of the routers and networks that this host serves, as its supervisor reports and as requests name them. all: those of the whole cloud. By default all for an agent that listens on TCP, and served for any other.',
    }),
  ),
  leader_only: flag({
    help: "Use only the leader of a clustered database. With false, as in Neutron's agents, any member serves that is connected to its cluster and not behind: this spreads the load of many hosts, and a copy is some milliseconds older. Relays are used in both cases.",
    default: false,
  }),
  ...ovsdbTimes,
  max_unconfirmed: duration({
    help: 'How long instances are named from a copy that no server confirms. After that, guests get 503 and leases are revoked. At least two probe intervals while a server is connected.',
    default: '5s',
    min: '0s',
    max: '1h',
  }),
  max_disconnected: duration({
    help: 'How long the agent counts as ready while no server confirms the copy. Guests get 503 earlier: see max_unconfirmed.',
    default: '30s',
    min: '0s',
    max: '1d',
  }),
  report_agent: flag({
    help: 'Report an OVN Metadata agent on this chassis to Neutron, in external_ids of its Chassis_Private row.',
    default: false,
  }),
  chassis: optional(
    text({
      help: 'Name of the chassis in reports to Neutron. Default: external_ids:system-id of the local Open vSwitch.',
    }),
  ),
  ovsdb_connection: ovsdbEndpointOption({
    help: 'Local Open vSwitch database. With report_agent, the names of the chassis and of the bridge are read there.',
    default: openVswitchDatabase,
  }),
  agent_down_time: duration({
    help: 'The agent_down_time of Neutron. Reports are delayed at random by up to a third of this time, 10 s at most, so that hosts do not all write at once.',
    default: '75s',
    min: '1s',
    max: '1h',
  }),
} as const satisfies Table

/** What {@link ovnTable} reads as. */
export type OvnConfig = ConfigOf<typeof ovnTable>
