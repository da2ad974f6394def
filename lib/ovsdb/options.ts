import type { ConfigOf, Entry, Table } from '../config/entry.ts'
import { bytes, duration, flag, leafOption, path, type OptionDetails } from '../config/option.ts'
import { list, optional } from '../config/structure.ts'
import type { OvsdbLimits } from './client-options.ts'
import { ovsdbEndpointText, parseOvsdbEndpoint, type OvsdbEndpoint } from './endpoint.ts'

/** An option that names a server. */
export function ovsdbEndpointOption(details: OptionDetails<string>): Entry<OvsdbEndpoint> {
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

/** Where OVN's southbound database is, under the names that Neutron's agents give it. */
export const southboundServers = {
  ovn_sb_connection: list(ovsdbEndpointOption({ help: 'One server of the southbound database.' }), {
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
    help: "Whether a server's certificate must name the host it was reached at. OVN's own tools do not require that, and certificates made by ovs-pki name no host.",
    default: false,
  }),
} as const satisfies Table

/** How an OVSDB server is talked to. */
export const ovsdbTimes = {
  timeout_connect: duration({
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
    help: 'Time between two echo requests to the server. The copy is confirmed by their answers. A server that sends nothing for twice as long is silent: the other servers are tried beside it.',
    default: '2s',
    min: '100ms',
    max: '10m',
  }),
  timeout_probe: duration({
    help: 'After this long without a byte the connection is given up although no other server can be used. Long, because a busy server may be silent for a while and reconnecting would add to its load.',
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
  message_bytes: bytes({
    help: 'Longest message taken from a server. The first copy is one message: about 500 bytes a port.',
    default: '512MiB',
    min: '1MiB',
    max: '1GiB',
  }),
} as const satisfies Table

/** The first pause of a client that cannot connect; drawn between 0 and this. */
const retryFirst = 1_000
/** No answer but the first copy is large. */
const answerLimit = 30_000

/** The same in the words of the client. */
export function ovsdbLimits(config: ConfigOf<typeof ovsdbTimes>): OvsdbLimits {
  return {
    connect: config.timeout_connect,
    copy: config.ovsdb_connection_timeout,
    answer: answerLimit,
    probeInterval: config.ovsdb_probe_interval,
    probeTimeout: Math.max(config.timeout_probe, 2 * config.ovsdb_probe_interval),
    retryFirst,
    retryLongest: config.ovsdb_retry_max_interval,
    messageBytes: config.message_bytes,
  }
}
