/** What may health, doctor and an audit report of a running daemon, what does it do to guests, and what mends it? */

/** What one code stands for. */
export interface FindingRow {
  /** `fail`: guests get no answer, or a wrong one, now. `warn`: they may, or soon will. */
  readonly level: 'fail' | 'warn'
  /** What it does to guests. */
  readonly effect: string
  /** What mends it, with the command. A finding that knows more has a remedy of its own. */
  readonly remedy: string
}

/** Codes of the proxy. */
const ofProxy = {
  starting: {
    level: 'warn',
    effect: 'Guests get no answer until the start is over.',
    remedy: 'Wait. If it lasts longer than a minute: "journalctl -u overlapd-proxy".',
  },
  capability_missing: {
    level: 'fail',
    effect: 'The proxy cannot enter namespaces, bind port 80 or load rules there.',
    remedy:
      'Add the capability to AmbientCapabilities= and CapabilityBoundingSet= of the unit ("systemctl edit overlapd-proxy"), then "systemctl restart overlapd-proxy".',
  },
  library_missing: {
    level: 'fail',
    effect: 'Requests are not redirected in routers.',
    remedy: '"apt install libnftables1" (Debian, Ubuntu) or "dnf install nftables" (Fedora, RHEL).',
  },
  files_exhausted: {
    level: 'fail',
    effect: 'New namespaces and connections get nothing.',
    remedy: 'Raise LimitNOFILE= ("systemctl edit overlapd-proxy"), then restart the proxy.',
  },
  namespace_refused: {
    level: 'fail',
    effect: 'No guest in the namespace is served.',
    remedy: 'Make its names and mappings agree: "overlapd-proxy list" shows them.',
  },
  namespace_not_served: {
    level: 'fail',
    effect: 'No guest in the namespace is served.',
    remedy:
      'Remove the cause that is named. The proxy tries again by itself: "overlapd-proxy list" shows when it is served.',
  },
  namespace_not_mounted: {
    level: 'fail',
    effect: 'Guests behind that name get no answer.',
    remedy:
      'In a container, mount /run/netns of the host with propagation (HostToContainer, rslave) and restart the proxy. On the host itself the names are left over: "ip netns delete NAME".',
  },
  listener_missing: {
    level: 'fail',
    effect: 'Guests that connect to this address get no answer.',
    remedy: 'Remove the cause that is named. The proxy tries again by itself.',
  },
  foreign_listener: {
    level: 'fail',
    effect: 'Guests get the answers of that process, and none of overlapd.',
    remedy: 'End that process ("kill PID"). The proxy takes the port within 10 s.',
  },
  haproxy_left: {
    level: 'warn',
    effect: "Neutron's haproxy answers these guests, as before the migration.",
    remedy:
      '"overlapd-proxy adopt --stop-haproxy --all" takes its sockets over without a lost request; "overlapd-proxy adopt" only lists.',
  },
  address_missing: {
    level: 'fail',
    effect: 'The packets of guests to this address are lost.',
    remedy:
      'The agent that made the namespace did not give it the address: restart neutron-dhcp-agent (or the OVN metadata agent) of this host.',
  },
  ipv6_address_missing: {
    level: 'warn',
    effect: 'Guests without IPv4 get no metadata.',
    remedy:
      'Restart neutron-dhcp-agent, which sets fe80::a9fe:a9fe since Neutron 17. Nothing, if no guest uses IPv6 alone.',
  },
  rules_missing: {
    level: 'fail',
    effect: 'Requests are not redirected, or the port behind is not guarded.',
    remedy: 'Remove the cause that is named. The proxy tries again by itself.',
  },
  rules_removed: {
    level: 'warn',
    effect: 'Until the proxy has loaded them again, at most 2 s, requests get no answer.',
    remedy:
      'Keep the program that is named away from the table inet overlapd: no "nft flush ruleset" in namespaces of routers.',
  },
  rules_incomplete: {
    level: 'warn',
    effect: 'Only requests over IPv4 are redirected.',
    remedy: '"modprobe nf_tables nft_redir nf_nat". Nothing, where no guest uses IPv6.',
  },
  canary_down: {
    level: 'fail',
    effect: 'The namespace does not answer from its inside.',
    remedy:
      '"ip netns exec NAME nft list table inet overlapd" and "sysctl net.netfilter.nf_conntrack_count" there; then "overlapd health" for the agent.',
  },
  no_worker: {
    level: 'fail',
    effect: 'No guest is served.',
    remedy: '"journalctl -u overlapd-proxy -g Worker" shows why workers end.',
  },
  worker_missing: {
    level: 'warn',
    effect: 'The other workers serve alone.',
    remedy: 'Wait if it is being replaced. Otherwise "journalctl -u overlapd-proxy -g Worker".',
  },
  workers_restart: {
    level: 'warn',
    effect: 'Requests that a worker had when it ended are lost.',
    remedy:
      '"journalctl -u overlapd-proxy -g Worker" has the cause. Out of memory: raise workers.memory_bytes. Anything else: report it.',
  },
  no_agent: {
    level: 'fail',
    effect: 'Every guest gets 503 agent_unreachable.',
    remedy:
      '"systemctl start overlapd-agent"; if it runs: agents of proxy.yaml must name its listener.',
  },
  agent_unreachable: {
    level: 'warn',
    effect: 'Guests are served by the other agents or workers, and wait longer.',
    remedy: 'Look at that agent before the others fail too: "overlapd health" on its host.',
  },
  agent_unreached: {
    level: 'warn',
    effect: 'Guests whose worker does not reach the only agent get 503.',
    remedy: '"overlapd health" on the host of the agent; "overlapd status" has the cause.',
  },
  provision_failed: {
    level: 'fail',
    effect: 'Guests of these OVN networks get no answer.',
    remedy: '"overlapd-proxy list" has the cause of each network.',
  },
  database_away: {
    level: 'warn',
    effect: 'Networks that come now get no namespace.',
    remedy: 'Start the OVN database that is named, or correct ovn_provision of proxy.yaml.',
  },
} as const satisfies Record<string, FindingRow>

/** Codes of the agent. */
const ofAgent = {
  listener_closed: {
    level: 'fail',
    effect: 'Proxies that use this listener get no answer.',
    remedy: '"systemctl restart overlapd-agent"; its log names what stands in the way.',
  },
  certificate_over: {
    level: 'fail',
    effect: 'The other side refuses every connection.',
    remedy: 'Put a new certificate in place, then "systemctl reload" the daemon.',
  },
  certificate_ends: {
    level: 'warn',
    effect: 'From then on the other side refuses every connection.',
    remedy: 'Put a new certificate in place, then "systemctl reload" the daemon.',
  },
  certificate_refused: {
    level: 'warn',
    effect: 'The files before serve on until they end.',
    remedy: 'Correct the changed files, then "systemctl reload" the daemon.',
  },
  directory_not_ready: {
    level: 'fail',
    effect: 'Every guest gets 503 and waits.',
    remedy: 'Start or reach the source of ports that is named; the agent connects by itself.',
  },
  directory_impaired: {
    level: 'warn',
    effect: 'Guests are named from what was known before; new guests may get 503 or 404.',
    remedy: 'Correct the source of ports that is named; the agent reads it again by itself.',
  },
  no_compute: {
    level: 'fail',
    effect: 'Every guest gets 503 compute_unreachable.',
    remedy:
      'Start the metadata API of Nova that is named, or correct compute.upstreams of agent.yaml and "systemctl restart overlapd-agent".',
  },
  compute_down: {
    level: 'warn',
    effect: 'The other endpoints answer alone.',
    remedy: 'Start the metadata API of Nova that is named.',
  },
  compute_slow: {
    level: 'warn',
    effect: 'Guests give up after 10 s, and boot without their metadata.',
    remedy:
      'Look at the load of the metadata API of Nova that is named, its database and its vendordata services.',
  },
  secret_refused: {
    level: 'fail',
    effect: 'Guests get 403.',
    remedy:
      'Write metadata_proxy_shared_secret of that nova.conf ([neutron]) into compute.shared_secret_file of agent.yaml, then "systemctl restart overlapd-agent".',
  },
  secret_next: {
    level: 'warn',
    effect: 'None yet: the endpoint takes the next secret and not the current one.',
    remedy: 'Finish the rotation: make the next secret the current one.',
  },
  policy_refused: {
    level: 'warn',
    effect: 'The policy before stays in force. A start of the agent fails.',
    remedy:
      'Correct the file: "overlapd-agent check" lists every problem. The agent reads it again by itself, or with "systemctl reload overlapd-agent".',
  },
  token_keys_refused: {
    level: 'warn',
    effect: 'Tokens are made with the keys before, which other agents may lack.',
    remedy:
      'Correct the file: "overlapd-agent check" names what is wrong. The agent reads it again by itself, or with "systemctl reload overlapd-agent".',
  },
  seals_lost: {
    level: 'fail',
    effect:
      'What a policy seals is refused to each instance whose window is not known, new instances included: they boot without user data.',
    remedy:
      'Stop overlapd-agent, mend the copy of the state file that ends in ".unusable" or take a backup, put it in the place of the file, and start the agent. Without one, "overlapd unseal INSTANCE" opens an instance; removing the file while the agent is stopped opens all.',
  },
  seals_full: {
    level: 'fail',
    effect:
      'No window of another instance can begin: what a policy seals is refused to new instances, which boot without user data.',
    remedy:
      'Stop overlapd-agent, remove from shield.state_file the lines of kind "window" whose instances no longer exist, and start the agent. Until then "overlapd unseal INSTANCE" opens an instance.',
  },
  shield_state_unwritten: {
    level: 'warn',
    effect:
      'None yet. After a restart of overlapd-agent, windows that began since are not known: what was sealed is served again.',
    remedy:
      'Look at the folder of shield.state_file: it must have space, and overlapd-agent must be able to write there. The agent tries again within a minute.',
  },
  guests_refused: {
    level: 'warn',
    effect: 'These guests get 404 or 503.',
    remedy: '"overlapd audit" names them; "overlapd explain --request ID" shows one request.',
  },
  fence_closed: {
    level: 'fail',
    effect: 'Guests of networks that no supervisor reports get 503 scope_not_served.',
    remedy:
      '"systemctl restart overlapd-proxy". Its supervisor must be in the group overlapd-supervisor, and its served_scopes.sockets must name served_scopes.socket of agent.yaml.',
  },
  fence_open: {
    level: 'warn',
    effect: 'None. A worker that is broken into gets answers for every network of the cloud.',
    remedy:
      'Update overlapd-proxy of this host. If it is of this version: its supervisor must be in the group overlapd-supervisor, and its served_scopes.sockets must name served_scopes.socket of agent.yaml.',
  },
  fence_off: {
    level: 'warn',
    effect: 'None. A worker that is broken into gets answers for every network of the cloud.',
    remedy: 'Set served_scopes.fence of agent.yaml to "automatic".',
  },
  fence_breachable: {
    level: 'warn',
    effect: 'None. A worker that is broken into may report what it likes.',
    remedy:
      'Give workers an account that is not the agent’s: start overlapd-proxy as root, with the account overlapd-proxy or with workers.user.',
  },
} as const satisfies Record<string, FindingRow>

/** Codes of an audit alone: whom would each address be answered as? */
const ofAudit = {
  scope_unknown: {
    level: 'fail',
    effect: 'Each request from there gets 404.',
    remedy:
      'Is the namespace left over, or the directory of another cloud? "openstack network show ID", "openstack router show ID"; "ip netns delete NAME" for what is left over.',
  },
  scope_unanswered: {
    level: 'fail',
    effect: 'Requests from there get 503.',
    remedy: 'Start or reach the source of ports; "overlapd health" names it.',
  },
  ambiguous_address: {
    level: 'fail',
    effect: 'Requests from there are refused with 404.',
    remedy:
      '"openstack port delete" the duplicate; with OVN "neutron-ovn-db-sync-util" where the databases differ.',
  },
  ambiguous_without_mac: {
    level: 'warn',
    effect: 'None behind overlapd-proxy. Behind haproxy, or with source_mac off, 404.',
    remedy: 'Move these guests behind overlapd-proxy, or give one of the ports another address.',
  },
  router_port_unknown: {
    level: 'warn',
    effect: 'Guests that come in there through overlapd-proxy get 503.',
    remedy:
      'With ports.kind "static", write the port under "ports" with its id and "router". Otherwise "openstack port show ID".',
  },
  shared_mac: {
    level: 'warn',
    effect: 'Requests from link-local addresses of these ports are refused.',
    remedy: 'Give one of them another MAC: "openstack port set --mac-address".',
  },
  wrong_instance: {
    level: 'fail',
    effect: "A guest would get another instance's metadata.",
    remedy: 'A defect of overlapd: "systemctl stop overlapd-agent" and report it.',
  },
  port_without_instance: {
    level: 'warn',
    effect: 'Its guest gets 404.',
    remedy: 'Detach the port and attach it to its instance again.',
  },
  port_without_project: {
    level: 'fail',
    effect: 'Its guest gets 404.',
    remedy: 'With OVN, "neutron-ovn-db-sync-util --ovn-neutron_sync_mode repair" mends the row.',
  },
  recent_refusals: {
    level: 'warn',
    effect: 'These requests were refused.',
    remedy: '"overlapd explain --request ID" with the id that is named, and "overlapd reasons".',
  },
} as const satisfies Record<string, FindingRow>

/** Every kind of finding of a daemon. The codes are stable: programs may wait for them. */
export const daemonCodes = { ...ofProxy, ...ofAgent, ...ofAudit } as const
