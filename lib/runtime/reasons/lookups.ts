/** Why is no instance found for a request? Rows of the table in reason-codes.ts. */

/** Of the port directory and the policies that decide an identity. */
export const lookupReasons = {
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
      'The source does not name the project of the port. With OVN, let Neutron repair the row (neutron-ovn-db-sync-util).',
  },
  ambiguous_port: {
    status: 404,
    publicText: 'The address does not identify exactly one instance',
    logLevel: 'warn',
    fault: 'directory',
    operatorAction:
      'Several ports match and nothing distinguishes them. "overlapd audit" names them; remove the duplicate in Neutron or OVN.',
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
    publicText: 'The interface that sent this request is not known, try again',
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
      'The connection came in through another interface of the router than guests of that address use: a guest on one network uses an address of another, or a VM routes between them. "overlapd explain" names both networks.',
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
      'The port directory has not seen its source whole yet. "overlapd status" shows which part is missing.',
  },
  directory_unavailable: {
    status: 503,
    publicText: 'The metadata service is temporarily unavailable, try again',
    retryAfter: 2,
    logLevel: 'error',
    fault: 'directory',
    operatorAction:
      'The port directory could not be queried. Check the address, credentials and health of Neutron, RabbitMQ or OVN; the log has the cause.',
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
      'Ports of this network changed again and again during the query. Nothing, unless it lasts.',
  },
} as const
