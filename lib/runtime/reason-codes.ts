/** Who has to act when a request is refused. It is a metric label and picks the log level. */
export type Fault = 'guest' | 'proxy' | 'directory' | 'compute' | 'config' | 'bug'

/** What is said and done about one reason code. */
export interface ReasonRow {
  /** HTTP status of the answer. */
  readonly status: number
  /** What the guest reads. Names nothing that belongs to another tenant. */
  readonly publicText: string
  /** Seconds after which trying again makes sense; absent where it does not. */
  readonly retryAfter?: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly fault: Fault
  /** What the operator should look at; goes to the error reference, never to a guest. */
  readonly operatorAction: string
}

/**
 * Every reason for which we ourselves answer with something other than 2xx. The codes are stable: they stand in
 * `X-Overlapd-Reason`, in logs, in metrics and in the error reference, which is made from this table.
 *
 * "Could not ask" is always 503 with `Retry-After`, because cloud-init waits for that and takes every other 5xx as final.
 */
export const reasonCodes = {
  malformed_request: {
    status: 400,
    publicText: 'The request is not valid HTTP/1.1',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'Nothing, unless many guests are affected: a client sends bytes that RFC 9112 does not allow.',
  },
  ambiguous_framing: {
    status: 400,
    publicText: 'The length of the request body is given in two ways',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'A guest sent Content-Length twice or together with Transfer-Encoding, as request smuggling does. Look at that guest if it repeats.',
  },
  request_target_invalid: {
    status: 400,
    publicText: 'The request target must be a path, or name the metadata address',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A guest uses the service as a forward proxy (absolute-form with another host) or sent an impossible path.',
  },
  http_version_unsupported: {
    status: 505,
    publicText: 'This service speaks HTTP/1.1 and HTTP/1.0',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A client of the guest speaks HTTP/2 without asking first (prior knowledge). Configure it for HTTP/1.1.',
  },
  host_invalid: {
    status: 400,
    publicText: 'The request must have exactly one Host header',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: the client is broken or probing.',
  },
  method_not_supported: {
    status: 405,
    publicText: 'This method is not supported here',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: CONNECT, TRACE and protocol upgrades have no meaning for metadata.',
  },
  request_timeout: {
    status: 408,
    publicText: 'The request did not arrive in time',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'A slow or stalled guest. If many guests of one network are affected, look at its MTU and at packet loss.',
  },
  body_too_large: {
    status: 413,
    publicText: 'The request body is too large',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction:
      'Raise limits.body_bytes only if a real client needs it: Nova itself accepts 1,020 bytes.',
  },
  expectation_failed: {
    status: 417,
    publicText: 'This expectation cannot be met',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: only "Expect: 100-continue" has a meaning.',
  },
  header_too_large: {
    status: 431,
    publicText: 'The request head is too large',
    logLevel: 'debug',
    fault: 'guest',
    operatorAction: 'Nothing: no metadata client needs 16 KiB of headers.',
  },
  rate_limited: {
    status: 429,
    publicText: 'Too many requests from this instance',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'The instance polls faster than rate_limit allows. Raise the limit or find the poller.',
  },
  too_many_connections: {
    status: 503,
    publicText: 'Too many connections are open',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'One guest, one namespace or all guests together hold as much as they may (limits.*), or a guest did not read its answer. Find the guest that holds most: overlapd_proxy_held_bytes and the log name it.',
  },
  request_pipelined: {
    status: 400,
    publicText: 'A request came while another was being answered',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'A proxy sent a request before the one before it was answered, which neither haproxy nor ours does: its connection was ended. Find out who connects to this listener.',
  },
  answer_unread: {
    status: 408,
    publicText: 'The answer was not read in time',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'An answer was broken off since it was not read: either all unread answers took more than 64 MiB of memory and this source had most of it, or it was longer than 4 MiB and stood still for 5 s. Look at the source that the log names.',
  },
  identity_missing: {
    status: 400,
    publicText: 'The request does not say which network it came through',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Whoever connects to this socket adds no router or network id. Check which proxy uses it and the flavour of the listener.',
  },
  identity_conflict: {
    status: 400,
    publicText: 'The request names both a router and a network',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Two kinds of identity header arrived. Behind haproxy, check that it deletes the other kind; otherwise somebody is forging them.',
  },
  identity_repeated: {
    status: 400,
    publicText: 'The request names its origin more than once',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'Our proxy never repeats an identity header: something else writes to this socket. Check its mode and owner.',
  },
  identity_malformed: {
    status: 400,
    publicText: 'The id of the network or router is malformed',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The id in the identity header is no id. Check the name of the namespace or the mapping it came from.',
  },
  source_address_missing: {
    status: 400,
    publicText: 'The request does not say which address it came from',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The proxy sent no X-Forwarded-For. Check "option forwardfor" of a foreign haproxy.',
  },
  source_address_malformed: {
    status: 400,
    publicText: 'The source address is not one IP address',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The last X-Forwarded-For is not exactly one address. Check what stands between the guest and the agent.',
  },
  scope_not_allowed: {
    status: 403,
    publicText: 'This proxy may not speak for that network',
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'The certificate of the proxy does not cover this router or network. Compare with the scopes allowed to it.',
  },
  scope_not_served: {
    status: 503,
    publicText: 'The network is changing, try again',
    retryAfter: 1,
    logLevel: 'warn',
    fault: 'proxy',
    operatorAction:
      'A worker of this host asked for a router or network that its supervisor does not report as served. Nothing if the namespace is new or just gone. Otherwise "overlapd status" shows who reports: an older overlapd-proxy that took the place of one that did needs a restart of the agent, and a worker that asks for many others was broken into.',
  },
  no_network: {
    status: 404,
    publicText: 'No network is known for the place this request came through',
    logLevel: 'info',
    fault: 'directory',
    operatorAction:
      'The router has no interface that the port directory knows of. Compare with "openstack port list --router"; "overlapd audit" lists every such router.',
  },
  no_port: {
    status: 404,
    publicText: 'No instance has this address on this network',
    logLevel: 'info',
    fault: 'directory',
    operatorAction:
      'No port with this address (or MAC, for link-local) in the scope. "overlapd explain" lists what was looked up; compare with the ports of that network in Neutron.',
  },
  port_without_instance: {
    status: 404,
    publicText: 'No instance has this address on this network',
    logLevel: 'info',
    fault: 'directory',
    operatorAction: 'The port exists but belongs to no device. Attach it to an instance.',
  },
  port_without_project: {
    status: 404,
    publicText: 'No instance has this address on this network',
    logLevel: 'warn',
    fault: 'directory',
    operatorAction:
      'The source does not say which project the port belongs to. With OVN, let Neutron repair the row (neutron-ovn-db-sync-util).',
  },
  ambiguous_port: {
    status: 404,
    publicText: 'The address does not identify exactly one instance',
    logLevel: 'warn',
    fault: 'directory',
    operatorAction:
      'Several ports match and nothing tells them apart. "overlapd audit" names them; remove the duplicate in Neutron or OVN.',
  },
  source_mac_conflict: {
    status: 404,
    publicText: 'The address does not belong to the interface that used it',
    logLevel: 'warn',
    fault: 'guest',
    operatorAction:
      'The frame came from the MAC of one port with the address of another: spoofing, or an address moved by hand. Both ports are in the log.',
  },
  source_mac_unknown: {
    status: 404,
    publicText: 'The interface that sent this request is not known on this network',
    logLevel: 'warn',
    fault: 'guest',
    operatorAction:
      'source_mac is "verify" and the MAC belongs to no port on the link, as for guests behind another VM. Use "prefer" to allow those.',
  },
  source_mac_missing: {
    status: 503,
    publicText: 'The interface that sent this request cannot be told, try again',
    retryAfter: 2,
    logLevel: 'warn',
    fault: 'guest',
    operatorAction:
      'source_mac is "verify", and the kernel kept no MAC for this connection: a flood of SYNs fills the queue of the namespace (SYN cookies), or the kernel cannot save SYNs. Find the guest that floods; "prefer" serves without a MAC.',
  },
  ingress_port_unknown: {
    status: 503,
    publicText: 'The network is changing, try again',
    retryAfter: 2,
    logLevel: 'warn',
    fault: 'directory',
    operatorAction:
      'The connection came in through a port of the router that the port directory does not know. Nothing if the interface is new. With ports.kind "static", write the ports of routers into the file.',
  },
  ingress_mismatch: {
    status: 404,
    publicText: 'The address does not belong to the network this request came through',
    logLevel: 'warn',
    fault: 'guest',
    operatorAction:
      'The connection came in through another interface of the router than guests of that address use: somebody on one network uses an address of another, or a VM routes between them. "overlapd explain" names both networks.',
  },
  routed_refused: {
    status: 404,
    publicText: 'The interface that sent this request is not known on this network',
    logLevel: 'warn',
    fault: 'guest',
    operatorAction:
      'The source MAC belongs to no port on the link, and "routed" is "refuse" for the network. Set networks.ID.routed to "by_address" to serve its routed guests.',
  },
  link_local_without_mac: {
    status: 404,
    publicText: 'The link-local address does not identify an instance',
    logLevel: 'info',
    fault: 'guest',
    operatorAction:
      'A link-local address that holds no MAC came without a source MAC. Use overlapd-proxy in front, or IPv4.',
  },
  directory_not_ready: {
    status: 503,
    publicText: 'The metadata service is starting, try again',
    retryAfter: 2,
    logLevel: 'warn',
    fault: 'directory',
    operatorAction:
      'The port directory has not seen its source whole yet. "overlapd status" tells which part is missing.',
  },
  directory_unavailable: {
    status: 503,
    publicText: 'The metadata service is temporarily unavailable, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'directory',
    operatorAction:
      'The port directory could not be asked. Check the address, credentials and health of Neutron, RabbitMQ or OVN; the log has the cause.',
  },
  directory_timeout: {
    status: 503,
    publicText: 'The metadata service is temporarily unavailable, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'directory',
    operatorAction: 'The port directory did not answer in time. Look at the load of its source.',
  },
  mapping_changed: {
    status: 503,
    publicText: 'The network is changing, try again',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'directory',
    operatorAction:
      'Ports of this network changed again and again while the question was asked. Nothing, unless it lasts.',
  },
  agent_unreachable: {
    status: 503,
    publicText: 'The metadata service is temporarily unavailable, try again',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'config',
    operatorAction:
      'The proxy cannot connect to any agent. Check that one runs and that the path, mode and group of its socket agree, or its address and both certificates.',
  },
  agent_timeout: {
    status: 503,
    publicText: 'The metadata service did not answer in time, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'config',
    operatorAction:
      "The agent accepted the request and did not answer within agent.timeout_headers. Look at the agent's log with the same request id.",
  },
  agent_broken_answer: {
    status: 502,
    publicText: 'The metadata service gave no usable answer',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'bug',
    operatorAction:
      'The agent closed the connection or answered something that is not HTTP. Look at its log with the same request id.',
  },
  compute_unreachable: {
    status: 503,
    publicText: 'The compute metadata service is temporarily unavailable, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'No compute metadata endpoint could be connected to. Check compute.upstreams and the service behind them.',
  },
  compute_timeout: {
    status: 503,
    publicText: 'The compute metadata service did not answer in time, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'The compute metadata API was connected but did not answer in time. Dynamic vendordata is the usual cause; see compute.timeout_headers.',
  },
  compute_broken_answer: {
    status: 502,
    publicText: 'The compute metadata service gave no usable answer',
    retryAfter: 1,
    logLevel: 'error',
    fault: 'compute',
    operatorAction:
      'The compute metadata API closed the connection or answered something that is not HTTP.',
  },
  compute_cut_off: {
    status: 502,
    publicText: 'The compute metadata service gave no answer to this request',
    retryAfter: 1,
    logLevel: 'warn',
    fault: 'compute',
    operatorAction:
      "The compute metadata API took the request, twice for a GET, and closed the connection without a word, while it answers others: its application fails at this path. Look at Nova's log for the same target.",
  },
  overloaded: {
    status: 503,
    publicText: 'The metadata service is busy, try again',
    retryAfter: 2,
    logLevel: 'warn',
    fault: 'compute',
    operatorAction:
      'Queues are full. Look at concurrency limits and at the latency of the compute metadata API.',
  },
  shutting_down: {
    status: 503,
    publicText: 'The metadata service is restarting, try again',
    retryAfter: 1,
    logLevel: 'info',
    fault: 'config',
    operatorAction:
      'Nothing: the process was asked to stop and the request came in the last moment.',
  },
  internal_error: {
    status: 500,
    publicText: 'The metadata service failed',
    logLevel: 'error',
    fault: 'bug',
    operatorAction:
      'A defect of overlapd. The log has the stack under the same request id; please report it.',
  },
} as const satisfies Record<string, ReasonRow>

/** A stable word for why a request was refused, such as `no_port`. */
export type ReasonCode = keyof typeof reasonCodes

/** The row of a code, typed so that the optional fields can be read. */
export function reasonRow(code: ReasonCode): ReasonRow {
  return reasonCodes[code]
}

/** True for the codes of the table; for codes that come over the wire. */
export function isReasonCode(text: unknown): text is ReasonCode {
  return typeof text === 'string' && Object.hasOwn(reasonCodes, text)
}
