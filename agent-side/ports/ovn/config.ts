import type { ConfigOf, Entry, Table } from '../../../lib/config/entry.ts'
import {
  bytes,
  duration,
  flag,
  leafOption,
  path,
  text,
  type OptionDetails,
} from '../../../lib/config/option.ts'
import { list, optional } from '../../../lib/config/structure.ts'
import {
  ovsdbEndpointText,
  parseOvsdbEndpoint,
  type OvsdbEndpoint,
} from '../../../lib/ovsdb/endpoint.ts'

function endpoint(details: OptionDetails<string>): Entry<OvsdbEndpoint> {
  return leafOption<OvsdbEndpoint>(
    {
      type: 'OVSDB endpoint',
      expected: 'unix:/PATH, tcp:HOST:PORT or ssl:HOST:PORT',
      parse: ({ value }) => (typeof value === 'string' ? parseOvsdbEndpoint(value) : undefined),
      show: ovsdbEndpointText,
    },
    details,
  )
}

/** The options of `kind: ovn`. Where Neutron has an option for the same thing, its name is used. */
export const ovnTable = {
  ovn_sb_connection: list(endpoint({ help: 'One server of the southbound database.' }), {
    help: 'Servers of the OVN southbound database. One is used at a time, in random order.',
    default: ['tcp:127.0.0.1:6642'],
    max: 64,
  }),
  ovn_sb_private_key: optional(
    path({ help: 'PEM file with the private key for ssl: endpoints. Read at each connect.' }),
  ),
  ovn_sb_certificate: optional(
    path({ help: 'PEM file with the certificate for ssl: endpoints. Read at each connect.' }),
  ),
  ovn_sb_ca_cert: optional(
    path({ help: "PEM file with the CA that signed the servers' certificates." }),
  ),
  verify_server_name: flag({
    help: "Whether a server's certificate must name the host it was reached at. OVN's own tools do not ask for that, and certificates made by ovs-pki name no host.",
    default: false,
  }),
  leader_only: flag({
    help: "Use only the leader of a clustered database: its data is never behind. Off, any connected member serves, which spreads the load of many hosts; a follower's copy is some milliseconds older. Relays are never leaders and are used in both cases.",
    default: true,
  }),
  connect_timeout: duration({
    help: 'How long one connection may take, TLS included.',
    default: '5s',
    min: '100ms',
    max: '5m',
  }),
  ovsdb_connection_timeout: duration({
    help: 'How long a server may prepare the first complete copy.',
    default: '180s',
    min: '1s',
    max: '1h',
  }),
  ovsdb_probe_interval: duration({
    help: 'After this long without a byte the server is asked for a sign of life. After twice as long the copy counts as unconfirmed.',
    default: '5s',
    min: '100ms',
    max: '10m',
  }),
  probe_timeout: duration({
    help: 'After this long without a byte the connection is given up. Long, because a busy server may be silent for a while and reconnecting would add to its load.',
    default: '60s',
    min: '200ms',
    max: '1h',
  }),
  ovsdb_retry_max_interval: duration({
    help: 'Longest pause between two rounds over all servers. Each pause is drawn at random up to its limit, which starts at 1 s and doubles.',
    default: '30s',
    min: '1s',
    max: '1h',
  }),
  max_disconnected: duration({
    help: 'How long the copy may be used while no server confirms it. Afterwards every question is refused with 503.',
    default: '5m',
    min: '0s',
    max: '1d',
  }),
  max_message: bytes({
    help: 'Longest message taken from a server. The first copy is one message: about 500 bytes a port.',
    default: '512MiB',
    min: '1MiB',
    max: '1GiB',
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
  ovsdb_connection: endpoint({
    help: 'Local Open vSwitch database, read for the name of the chassis and of the bridge when report_agent is on.',
    default: 'unix:/var/run/openvswitch/db.sock',
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
