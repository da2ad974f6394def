/**
 * The name of every header that crosses a process boundary, in lower case as Node's parsers give them.
 * Nothing else in the project spells one.
 * @see neutron/agent/metadata/driver.py, neutron/agent/ovn/metadata/driver.py, nova/api/metadata/handler.py
 */
export const wireHeaders = {
  /** proxy → agent: the router whose namespace accepted the connection. */
  routerId: 'x-neutron-router-id',
  /** proxy → agent: the network, for DHCP namespaces of isolated networks. */
  networkId: 'x-neutron-network-id',
  /** proxy → agent: the network, for OVN metadata namespaces. */
  ovnNetworkId: 'x-ovn-network-id',
  /** proxy → agent → compute: the guest's address as the socket saw it. */
  forwardedFor: 'x-forwarded-for',
  /** our proxy → our agent: the source MAC of the guest's SYN. */
  sourceMac: 'x-overlapd-source-mac',
  /** our proxy → our agent, beside a router's id: the router's port through which the connection came in, or `other`. */
  ingressPort: 'x-overlapd-ingress-port',
  /** our proxy → our agent: hop limit and TCP port of the guest's SYN as they arrived, `64 51234`; port 0 where it is not known. */
  arrival: 'x-overlapd-arrival',
  /** our proxy → our agent: the guest's Host as it was sent, or `-` for a request without one. */
  guestHost: 'x-overlapd-guest-host',
  /** our proxy → our agent: `1` for a request whose own headers show that another program forwarded it. */
  guestForwarded: 'x-overlapd-guest-forwarded',
  /** our proxy → our agent: the guest's User-Agent, cut where it becomes long. */
  guestAgent: 'x-overlapd-guest-agent',
  /** guest → our agent, by way of any proxy: the session token. */
  token: 'x-aws-ec2-metadata-token',
  /** guest → our agent, by way of any proxy, and back: the life of a session token in seconds. */
  tokenTtl: 'x-aws-ec2-metadata-token-ttl-seconds',
  /** our agent → our proxy: how many hops this answer and later ones of the connection may go. Never reaches a guest. */
  answerHopLimit: 'x-overlapd-answer-hop-limit',
  /** our proxy → our agent: for no guest; is the agent ready? @see proxy/canary/README.md */
  canary: 'x-overlapd-canary',
  /** our proxy → our agent, and back to the guest on every answer. */
  requestId: 'x-request-id',
  /** agent → compute. */
  instanceId: 'x-instance-id',
  /** agent → compute: the project; Nova kept the old word. */
  tenantId: 'x-tenant-id',
  /** agent → compute: hex HMAC-SHA256 of the instance id. */
  instanceIdSignature: 'x-instance-id-signature',
  /** us → guest: why an answer made by us is not 2xx; a reason code. */
  reason: 'x-overlapd-reason',
} as const

/** The three headers of which exactly one names a request's scope. */
export const scopeHeaders = [
  wireHeaders.routerId,
  wireHeaders.networkId,
  wireHeaders.ovnNetworkId,
] as const

/**
 * How the names begin that only we may send, by the word under which a guest's copies are counted. A guest's headers never
 * travel on, so this decides nothing: it makes attempts visible.
 */
export const forgeableHeaders = {
  neutron: ['x-neutron-'],
  ovn: ['x-ovn-'],
  overlapd: ['x-overlapd-'],
  forwarded: ['x-forwarded-', 'forwarded', 'x-real-ip'],
  instance: ['x-instance-id', 'x-tenant-id'],
  metadata_provider: ['x-metadata-provider'],
  request_id: ['x-request-id'],
} as const

/** What our proxy takes from an answer of the agent alone: compute's copies would be foreign words under our name. */
export const agentResponseHeaders: ReadonlySet<string> = new Set([
  wireHeaders.tokenTtl,
  wireHeaders.answerHopLimit,
])

/**
 * What of a compute answer reaches the guest. Framing and connection fields are made anew on each hop, and a
 * reason code counts only when we made the answer.
 */
export const relayedResponseHeaders: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-language',
  'content-disposition',
  'content-length',
  'etag',
  'last-modified',
  'cache-control',
  'expires',
  'vary',
  'retry-after',
  'location',
  'allow',
  'www-authenticate',
])
