import { hostname } from 'node:os'
import type { Count, Milliseconds, Seconds } from '../../../lib/runtime/clock.ts'
import type { ConfigOf } from '../../../lib/config/entry.ts'
import { duration, flag, integer, oneOf, path, text } from '../../../lib/config/option.ts'
import { secretFile } from '../../../lib/config/secret-file.ts'
import { list, optional } from '../../../lib/config/structure.ts'
import type { Secret } from '../../../lib/runtime/secret.ts'
import type { JsonObject } from '../directory/neutron-port.ts'
import type { BrokerTls } from './amqp/amqp.ts'
import { transportUrlProblem } from './amqp/transport-url.ts'

/** The configuration of the `neutron-rpc` directory. README.md explains each option. */
export interface NeutronRpcConfig {
  /** `rabbit://user:password@host:port,…/virtual_host?option=value`. Its `ssl*` and `heartbeat*` options count. */
  readonly transportUrl: Secret
  readonly controlExchange: string
  /** Absent: no TLS, unless the URL has `ssl=true`. */
  readonly tls?: BrokerTls
  /** 0 turns it off. */
  readonly heartbeat: Seconds
  /** Between two looks whether the broker still answers. 0 leaves that to heartbeats. */
  readonly probeInterval: Milliseconds
  readonly timeoutConnect: Milliseconds
  readonly reconnectDelayMin: Milliseconds
  readonly reconnectDelayMax: Milliseconds
  /** Our own queues: durable and replicated instead of transient. */
  readonly transientQuorumQueue: boolean
  readonly transientQueuesTtl: Seconds
  /** How long a fetch may take. */
  readonly timeoutResponse: Milliseconds
  /** How long one query of the resolver waits, for its fetches included. */
  readonly timeoutQuery: Milliseconds
  readonly maxOutstanding: Count
  readonly partsPerQuery: Count
  readonly concurrency: Count
  readonly queue: Count
  /** What is held: the networks and routers that were queried, or everything. */
  readonly copy: 'networks' | 'all'
  /** False to receive no pushes. */
  readonly push: boolean
  /** Versions of the `Port` object whose pushes are received. */
  readonly pushVersions: readonly string[]
  /** How old an answer may be where no pushes are to be had. */
  readonly maxAge: Milliseconds
  /** A pushed copy older than this is fetched anew before a fresh query is answered from it. */
  readonly verifyInterval: Milliseconds
  /** A pushed copy older than this is fetched anew in the background when it is used. */
  readonly resyncInterval: Milliseconds
  /** A pushed copy older than this is no answer. */
  readonly copyMaxAge: Milliseconds
  /** How old an answer may be while Neutron does not answer. */
  readonly maxStale: Milliseconds
  readonly heldPorts: Count
  /** A network with more ports is not held; it is queried address by address. */
  readonly networkPorts: Count
  /** How long pushes are not relied on after one was lost. */
  readonly pushDistrust: Milliseconds
  /** How often the state is reported. 0 turns it off. */
  readonly reportInterval: Milliseconds
  readonly host: string
  readonly reportedConfigurations: JsonObject
}

/** The options as an operator writes them. */
export const neutronRpcTable = {
  transport_url: secretFile({
    help: 'File with the transport_url of neutron.conf: rabbit://user:password@host:5672,…/virtual_host.',
    required: true,
    problemOf: transportUrlProblem,
  }),
  control_exchange: text({ help: 'Control exchange of the Neutron servers.', default: 'neutron' }),
  ssl: flag({
    help: 'Use TLS to the broker. ssl=true in transport_url has the same effect.',
    default: false,
  }),
  ssl_ca_file: optional(
    path({ help: "File with the CA certificates for the broker (PEM). Default: the system's." }),
  ),
  ssl_cert_file: optional(path({ help: 'File with the client certificate for the broker (PEM).' })),
  ssl_key_file: optional(path({ help: 'File with the key of the client certificate (PEM).' })),
  ssl_enforce_hostname_verification: flag({
    help: "Require that the broker's certificate names the host of the connection.",
    default: true,
  }),
  ssl_insecure: flag({
    help: "Do not verify the broker's certificate. For laboratories.",
    default: false,
  }),
  heartbeat: duration({
    help: 'Interval of AMQP heartbeats. A broker that is silent for two intervals counts as lost; pushes can be missing for as long. 0 turns heartbeats off.',
    default: '15s',
    max: '10m',
  }),
  probe_interval: duration({
    help: 'Interval of probes of the broker. A broker that leaves a probe open for one more interval counts as away; after four more the agent connects to another one. 0 leaves this to heartbeat.',
    default: '2s',
    max: '1m',
  }),
  timeout_connect: duration({
    help: 'Time limit for connecting to one broker, login included.',
    default: '5s',
    min: '100ms',
  }),
  reconnect_delay_min: duration({
    help: 'First pause after all brokers have failed. It doubles with each round.',
    default: '500ms',
    min: '10ms',
  }),
  reconnect_delay_max: duration({
    help: 'Longest pause between two rounds over the brokers.',
    default: '30s',
    min: '10ms',
  }),
  rabbit_transient_quorum_queue: flag({
    help: "Declare the agent's queues as quorum queues, for brokers that refuse transient queues.",
    default: false,
  }),
  rabbit_transient_queues_ttl: duration({
    help: 'The broker deletes queues of the agent that are unused for this time.',
    default: '30m',
    min: '1m',
  }),
  rpc_response_timeout: duration({
    help: 'Time limit for the answer of a Neutron server to one call.',
    default: '60s',
    min: '1s',
  }),
  timeout_query: duration({
    help: 'How long the request of a guest waits for the directory.',
    default: '8s',
    min: '100ms',
  }),
  max_outstanding: integer({
    help: 'Maximum number of calls that wait for an answer of a Neutron server. Further ones are refused.',
    default: 256,
    min: 1,
    max: 10_000,
  }),
  parts_per_query: integer({
    help: 'Maximum number of networks or routers in one query.',
    default: 32,
    min: 1,
    max: 500,
  }),
  concurrency: integer({
    help: 'Maximum number of concurrent fetches.',
    default: 4,
    min: 1,
    max: 64,
  }),
  queue: integer({
    help: 'Maximum number of networks and routers that wait to be fetched. Further ones are refused.',
    default: 10_000,
    min: 1,
    max: 100_000,
  }),
  copy: oneOf(['networks', 'all'], {
    help: 'Content of the local copy: the networks and routers that guests of this agent use, or every port of the cloud.',
    default: 'networks',
  }),
  push: flag({ help: 'Receive the changes of ports that Neutron pushes.', default: true }),
  push_versions: list(
    text({ help: '', pattern: /^\d{1,3}\.\d{1,3}$/, expected: 'a version such as 1.7' }),
    {
      help: 'Versions of the Port object whose pushes are received. The version of the servers is added automatically.',
      default: ['1.4', '1.5', '1.6', '1.7', '1.8', '1.9', '1.10', '1.11', '1.12'],
      max: 64,
    },
  ),
  max_age: duration({
    help: 'Maximum age of an answer while pushes are not available. 0 sends a query for every request.',
    default: '2s',
  }),
  verify_interval: duration({
    help: 'An unusual result is checked against Neutron, unless the copy of the network is younger than this.',
    default: '10s',
  }),
  resync_interval: duration({
    help: 'A network in use is fetched again in the background when its copy is older than this.',
    default: '5m',
    min: '1s',
  }),
  copy_max_age: duration({
    help: 'A copy that could not be fetched again for this time is not used.',
    default: '15m',
  }),
  max_stale: duration({
    help: 'Maximum age of an answer while Neutron does not answer. After that, guests get 503 and try again.',
    default: '5s',
  }),
  held_ports: integer({
    help: 'Maximum number of ports in memory.',
    default: 200_000,
    min: 100,
    max: 10_000_000,
  }),
  network_ports: integer({
    help: 'Networks with more ports than this are not held but queried address by address.',
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
  push_distrust: duration({
    help: 'How long pushes are not trusted after a change was not pushed.',
    default: '10m',
  }),
  report_interval: duration({
    help: 'Interval of reports to Neutron that this agent is alive. 0 turns the reports off.',
    default: '30s',
    max: '1h',
  }),
  host: optional(
    text({
      help: 'Host name of the agent in reports to Neutron. It must be host of neutron.conf on this machine. Default: the host name.',
    }),
  ),
} as const

/** Makes the configuration of the directory of what was read with {@link neutronRpcTable}. */
export function neutronRpcConfig(
  given: ConfigOf<typeof neutronRpcTable>,
  reportedConfigurations: JsonObject = {},
): NeutronRpcConfig {
  const { transport_url: transportUrl } = given
  if (transportUrl === undefined) throw new TypeError('transport_url must be given')
  return {
    transportUrl,
    controlExchange: given.control_exchange,
    ...(given.ssl && {
      tls: {
        verifyHostname: given.ssl_enforce_hostname_verification,
        insecure: given.ssl_insecure,
        ...(given.ssl_ca_file !== undefined && { caFile: given.ssl_ca_file }),
        ...(given.ssl_cert_file !== undefined && { certFile: given.ssl_cert_file }),
        ...(given.ssl_key_file !== undefined && { keyFile: given.ssl_key_file }),
      },
    }),
    heartbeat: Math.ceil(given.heartbeat / 1_000),
    probeInterval: given.probe_interval,
    timeoutConnect: given.timeout_connect,
    reconnectDelayMin: given.reconnect_delay_min,
    reconnectDelayMax: given.reconnect_delay_max,
    transientQuorumQueue: given.rabbit_transient_quorum_queue,
    transientQueuesTtl: Math.ceil(given.rabbit_transient_queues_ttl / 1_000),
    timeoutResponse: given.rpc_response_timeout,
    timeoutQuery: given.timeout_query,
    maxOutstanding: given.max_outstanding,
    partsPerQuery: given.parts_per_query,
    concurrency: given.concurrency,
    queue: given.queue,
    copy: given.copy,
    push: given.push,
    pushVersions: given.push_versions,
    maxAge: given.max_age,
    verifyInterval: given.verify_interval,
    resyncInterval: given.resync_interval,
    copyMaxAge: given.copy_max_age,
    maxStale: given.max_stale,
    heldPorts: given.held_ports,
    networkPorts: given.network_ports,
    pushDistrust: given.push_distrust,
    reportInterval: given.report_interval,
    host: given.host ?? hostname(),
    reportedConfigurations,
  }
}
