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

/** Everything the `neutron-rpc` directory is told. What each part means to an operator is in README.md. */
export interface NeutronRpcConfig {
  /** `rabbit://user:password@host:port,…/virtual_host?option=value`. Its `ssl*` and `heartbeat*` options count. */
  readonly transportUrl: Secret
  readonly controlExchange: string
  /** Absent: no TLS, unless the URL says `ssl=true`. */
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
  /** How long one question of the resolver waits, for its fetches included. */
  readonly timeoutQuestion: Milliseconds
  readonly maxOutstanding: Count
  readonly partsPerQuestion: Count
  readonly concurrency: Count
  readonly queue: Count
  /** What is held: the networks and routers that were asked for, or everything. */
  readonly copy: 'networks' | 'all'
  /** False to hear no pushes. */
  readonly push: boolean
  /** Versions of the `Port` object whose pushes are heard. */
  readonly pushVersions: readonly string[]
  /** How old an answer may be where no pushes are to be had. */
  readonly maxAge: Milliseconds
  /** A pushed copy older than this is fetched anew before a fresh question is answered from it. */
  readonly verifyInterval: Milliseconds
  /** A pushed copy older than this is fetched anew in the background when it is used. */
  readonly resyncInterval: Milliseconds
  /** A pushed copy older than this is no answer. */
  readonly copyMaxAge: Milliseconds
  /** How old an answer may be while Neutron cannot be asked. */
  readonly maxStale: Milliseconds
  readonly heldPorts: Count
  /** A network with more ports is not held; it is asked address by address. */
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
    help: 'File with the address of RabbitMQ as in neutron.conf: rabbit://user:password@host:5672,…/virtual_host.',
    required: true,
    problemOf: transportUrlProblem,
  }),
  control_exchange: text({ help: "Exchange of Neutron's servers.", default: 'neutron' }),
  ssl: flag({ help: 'Use TLS to the broker, as ssl=true in transport_url does.', default: false }),
  ssl_ca_file: optional(
    path({ help: "Authorities of the broker's certificate; else the system's." }),
  ),
  ssl_cert_file: optional(path({ help: 'Our certificate for the broker.' })),
  ssl_key_file: optional(path({ help: 'The key of our certificate.' })),
  ssl_enforce_hostname_verification: flag({
    help: "Whether the broker's certificate must name the host that is connected to.",
    default: true,
  }),
  ssl_insecure: flag({
    help: 'Believe any certificate of the broker. For laboratories.',
    default: false,
  }),
  heartbeat: duration({
    help: 'A broker that is silent for two of these is taken for dead, and pushes may be missing for as long. 0 turns it off.',
    default: '15s',
    max: '10m',
  }),
  probe_interval: duration({
    help: 'The broker is asked so often whether it is still there. One that leaves a question open for as long again is silent and counts as away; after four times as long another one is connected to. 0 leaves that to heartbeat.',
    default: '2s',
    max: '1m',
  }),
  timeout_connect: duration({
    help: 'Limit for connecting to one broker.',
    default: '5s',
    min: '100ms',
  }),
  reconnect_delay_min: duration({
    help: 'First wait before the next attempt once every broker has been tried; it doubles with each round.',
    default: '500ms',
    min: '10ms',
  }),
  reconnect_delay_max: duration({
    help: 'Longest wait between attempts.',
    default: '30s',
    min: '10ms',
  }),
  rabbit_transient_quorum_queue: flag({
    help: 'Make our own queues quorum queues, for brokers that refuse transient ones.',
    default: false,
  }),
  rabbit_transient_queues_ttl: duration({
    help: 'The broker deletes queues of ours that nobody used for so long.',
    default: '30m',
    min: '1m',
  }),
  rpc_response_timeout: duration({
    help: 'Limit for one answer of a server.',
    default: '60s',
    min: '1s',
  }),
  timeout_question: duration({
    help: 'How long a request of a guest waits for the directory.',
    default: '8s',
    min: '100ms',
  }),
  max_outstanding: integer({
    help: 'Questions that may wait for an answer of a server.',
    default: 256,
    min: 1,
    max: 10_000,
  }),
  parts_per_question: integer({
    help: 'Networks or routers named in one question.',
    default: 32,
    min: 1,
    max: 500,
  }),
  concurrency: integer({ help: 'Fetches under way at a time.', default: 4, min: 1, max: 64 }),
  queue: integer({
    help: 'Networks and routers that may wait to be fetched.',
    default: 10_000,
    min: 1,
    max: 100_000,
  }),
  copy: oneOf(['networks', 'all'], {
    help: 'What is held: the networks and routers that guests of this agent use, or every port of the cloud.',
    default: 'networks',
  }),
  push: flag({ help: "Listen to Neutron's pushed changes of ports.", default: true }),
  push_versions: list(
    text({ help: '', pattern: /^\d{1,3}\.\d{1,3}$/, expected: 'a version such as 1.7' }),
    {
      help: 'Versions of the Port object to listen for; the one that the server speaks is added by itself.',
      default: ['1.4', '1.5', '1.6', '1.7', '1.8', '1.9', '1.10', '1.11', '1.12'],
      max: 64,
    },
  ),
  max_age: duration({
    help: 'How old an answer may be where no pushes are to be had. 0 asks for every request.',
    default: '2s',
  }),
  verify_interval: duration({
    help: 'An unusual verdict is checked against Neutron unless the copy of the network is younger than this.',
    default: '10s',
  }),
  resync_interval: duration({
    help: 'A network in use is fetched anew in the background when its copy is older.',
    default: '5m',
    min: '1s',
  }),
  copy_max_age: duration({
    help: 'A copy that could not be fetched anew for so long is not used.',
    default: '15m',
  }),
  max_stale: duration({
    help: 'How old an answer may be while Neutron cannot be asked. Older ones are refused with 503, which guests wait for.',
    default: '5s',
  }),
  held_ports: integer({ help: 'Ports held at most.', default: 200_000, min: 100, max: 10_000_000 }),
  network_ports: integer({
    help: 'A network with more ports is not held but asked address by address.',
    default: 20_000,
    min: 1,
    max: 1_000_000,
  }),
  push_distrust: duration({
    help: 'How long pushes are not relied on after a change was not pushed.',
    default: '10m',
  }),
  report_interval: duration({
    help: 'How often Neutron is told that this agent lives. 0 turns it off.',
    default: '30s',
    max: '1h',
  }),
  host: optional(
    text({
      help: "Name under which the agent is listed: host of neutron.conf; else this machine's host name.",
    }),
  ),
} as const

/** Turns what was read with {@link neutronRpcTable} into what the directory is told. */
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
    timeoutQuestion: given.timeout_question,
    maxOutstanding: given.max_outstanding,
    partsPerQuestion: given.parts_per_question,
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
