/** What may an audit find, and what is to be done about it? The daemons find, the operator's program shows. */
import type { Count } from '../runtime/clock.ts'
import type { Finding } from './finding.ts'

interface AuditRow {
  readonly level: 'fail' | 'warn'
  /** What the operator should do. */
  readonly remedy: string
}

/** Every kind of finding. The codes are stable: programs may wait for them. */
export const auditCodes = {
  namespace_refused: {
    level: 'fail',
    remedy: 'Make names and mappings of the namespace agree; nobody in it is served until then.',
  },
  namespace_not_served: {
    level: 'fail',
    remedy: 'Look at what stands in the way; the proxy tries again by itself.',
  },
  listener_missing: {
    level: 'fail',
    remedy:
      'Guests that ask this address get no answer. The proxy tries again by itself once the cause is gone.',
  },
  foreign_listener: {
    level: 'warn',
    remedy: 'End the other process, or take its sockets over with "overlapd-proxy adopt".',
  },
  rules_missing: {
    level: 'fail',
    remedy:
      'Requests are not redirected, or the port behind is not guarded. The proxy loads its rules again; find out who removes them.',
  },
  rules_incomplete: {
    level: 'warn',
    remedy:
      'Only IPv4 is redirected. Load ip6 support of nftables, or ignore it where no guest uses IPv6.',
  },
  canary_down: {
    level: 'fail',
    remedy:
      'Look at the rules (nft list table inet overlapd) and at nf_conntrack_count in the namespace, then at the agent.',
  },
  worker_missing: {
    level: 'warn',
    remedy: 'Wait if it is being replaced; otherwise look at the log of the proxy for why it ends.',
  },
  no_agent: {
    level: 'fail',
    remedy:
      'Every guest gets 503. Start the agent, or correct the path, the group of its socket, or the certificates.',
  },
  agent_unreachable: {
    level: 'warn',
    remedy: 'Others answer in its place. Look at that agent before they fail too.',
  },
  certificate_over: {
    level: 'fail',
    remedy: 'Put a new certificate in place; no restart is needed.',
  },
  certificate_ends: {
    level: 'warn',
    remedy: 'Put a new certificate in place; no restart is needed.',
  },
  certificate_refused: {
    level: 'warn',
    remedy: 'The changed files cannot be used, the old ones serve on. Correct them.',
  },
  directory_not_ready: {
    level: 'fail',
    remedy: 'Look at the source of ports: Neutron, RabbitMQ, the southbound database or the file.',
  },
  scope_unknown: {
    level: 'fail',
    remedy:
      'The proxy serves it, and the port directory knows nothing of it: each request gets 404. Is the namespace left over, or the directory of another cloud?',
  },
  scope_unanswered: {
    level: 'fail',
    remedy: 'The port directory could not be asked about it; guests get 503.',
  },
  ambiguous_address: {
    level: 'fail',
    remedy:
      'Requests from there are refused. Remove the duplicate in Neutron or OVN (neutron-ovn-db-sync-util where the databases differ).',
  },
  ambiguous_without_mac: {
    level: 'warn',
    remedy:
      'Only the source MAC tells them apart: answered behind overlapd-proxy, refused behind haproxy and with source_mac off.',
  },
  router_port_unknown: {
    level: 'warn',
    remedy:
      'Guests that come in there through overlapd-proxy get 503. With ports.kind "static", write the port under "ports" with its id and "router".',
  },
  shared_mac: {
    level: 'warn',
    remedy:
      'Requests from link-local addresses of these ports are refused. Give one of them another MAC.',
  },
  wrong_instance: {
    level: 'fail',
    remedy: 'A defect of overlapd: stop the agent and report it.',
  },
  port_without_instance: {
    level: 'warn',
    remedy:
      'A port of a compute service that names no instance: its guest gets 404. Repair the port.',
  },
  port_without_project: {
    level: 'fail',
    remedy: 'Its guest gets 404. With OVN, let Neutron repair the row (neutron-ovn-db-sync-util).',
  },
  recent_refusals: {
    level: 'warn',
    remedy:
      'Ask "overlapd explain" with the request that is named, and "overlapd reasons" about the code.',
  },
  secret_refused: {
    level: 'fail',
    remedy:
      'It answered 403 to every secret we have. Compare metadata_proxy_shared_secret there with compute.shared_secret_file here.',
  },
  secret_next: {
    level: 'warn',
    remedy:
      'It takes the next secret and not the current one. Finish the rotation: make the next one the current.',
  },
  no_compute: { level: 'fail', remedy: 'No compute metadata endpoint works; guests get 503.' },
  compute_down: { level: 'warn', remedy: 'Others answer in its place. Look at that endpoint.' },
} as const satisfies Record<string, AuditRow>

/** A stable word for one kind of finding, such as `ambiguous_address`. */
export type AuditCode = keyof typeof auditCodes

/** One thing that is not as it should be; its code says how bad that is and what to do. */
export interface AuditFinding extends Pick<Finding, 'what'> {
  readonly code: AuditCode
  readonly about: string
}

/** A finding with everything that its code stands for, for those who do not know the code. */
export function wholeFinding(finding: AuditFinding): Finding {
  return { ...auditCodes[finding.code], ...finding }
}

/** What a daemon found about itself: the body of `/audit`. */
export interface AuditReport {
  /** How much was looked at: `{"namespaces":3,"listeners":4}`. */
  readonly checked: Readonly<Record<string, Count>>
  /** What could not be looked at, and why. */
  readonly notes: readonly string[]
  readonly findings: readonly Finding[]
}

const soon = 14 * 24 * 3_600_000

/** What is to be said about a certificate. */
export function certificateFindings(
  about: string,
  certificate: { readonly expiresAt: number; readonly refusal?: string | undefined },
  wallTime: number,
): readonly AuditFinding[] {
  const { expiresAt, refusal } = certificate
  const at = new Date(expiresAt).toISOString()
  const findings: AuditFinding[] = []
  if (expiresAt <= wallTime) {
    findings.push({ code: 'certificate_over', about, what: `The certificate ended at ${at}` })
  } else if (expiresAt - wallTime < soon) {
    findings.push({ code: 'certificate_ends', about, what: `The certificate ends at ${at}` })
  }
  if (refusal !== undefined) findings.push({ code: 'certificate_refused', about, what: refusal })
  return findings
}
