/** What can an operator decide about leases? */
import type { ConfigProblem, Table } from '../../lib/config/entry.ts'
import { defaultSockets } from '../../lib/config/defaults.ts'
import { duration, fileMode, flag, integer, path, text } from '../../lib/config/option.ts'
import { optional } from '../../lib/config/structure.ts'

/** The section `leases`. */
export const leasesTable = {
  enabled: flag({
    help: "Lend signed headers of one instance at a time to the workers of this host's overlapd-proxy, which then forward to Nova by themselves (leases.enabled there). The secret stays here, but Nova's signatures never expire: a worker that is broken into keeps those it was lent. Not while requests are rate limited.",
    default: false,
  }),
  socket: path({
    help: 'UNIX socket on which workers request leases.',
    default: defaultSockets.leases,
  }),
  mode: fileMode({
    help: 'Who may request leases: permission bits of the socket.',
    default: '0660',
    isForFew: true,
  }),
  user: optional(text({ help: 'Owner of the socket file.' })),
  group: optional(
    text({ help: 'Group of the socket file; otherwise overlapd-proxy where that group exists.' }),
  ),
  ttl: duration({
    help: 'How long a lease lasts, and never longer than the identity is remembered (cache.ttl), so that more than that changes nothing. Changes that the port directory reports end it at once.',
    default: '10s',
    min: '100ms',
    max: '1m',
  }),
  per_worker: integer({
    help: 'Leases of one worker at a time.',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    unit: 'leases',
  }),
} as const satisfies Table

/** What of the whole configuration a lease depends on. */
interface Leasing {
  readonly leases: { readonly enabled: boolean }
  readonly compute: { readonly tls: { readonly key_file: string | undefined } }
  readonly source_mac: string
}

/** Why leases could never be given, though they are enabled. */
export function leaseProblems({ leases, compute, source_mac }: Leasing): ConfigProblem[] {
  if (!leases.enabled) return []
  const problems: ConfigProblem[] = []
  if (compute.tls.key_file !== undefined) {
    problems.push({
      path: 'leases.enabled',
      message: 'cannot go with compute.tls.key_file: workers would need the key as well',
    })
  }
  if (source_mac === 'off') {
    problems.push({
      path: 'leases.enabled',
      message: 'cannot go with source_mac off: a lease is for an address and a MAC that agree',
    })
  }
  return problems
}
