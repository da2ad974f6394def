/** What can an operator decide about leases? */
import type { ConfigProblem, Table } from '../../lib/config/entry.ts'
import { duration, flag, integer, leafOption, path, text } from '../../lib/config/option.ts'
import { optional } from '../../lib/config/structure.ts'

/** The section `forwarding`. */
export const forwardingTable = {
  leases: flag({
    help: "Lend signed headers of one instance at a time to the workers of this host's overlapd-proxy, which then forward to Nova by themselves (forwarding.mode direct). The secret stays here, but Nova's signatures never expire: a worker that is broken into keeps those it was lent. Not while requests are rate limited.",
    default: false,
  }),
  socket: path({
    help: 'UNIX socket on which workers ask for leases.',
    default: '/run/overlapd/agent-lease.sock',
  }),
  mode: leafOption<number>(
    {
      type: 'file mode',
      expected: 'an octal file mode in quotes such as "0660", closed to other users',
      parse: ({ value }) =>
        typeof value === 'string' && /^0?[0-7]{2}0$/.test(value)
          ? Number.parseInt(value, 8)
          : undefined,
      show: (mode) => `0${mode.toString(8).padStart(3, '0')}`,
    },
    { help: 'Who may ask: permission bits of the socket.', default: '0660' },
  ),
  user: optional(text({ help: 'Owner of the socket file.' })),
  group: optional(
    text({ help: 'Group of the socket file; otherwise overlapd-proxy where that group exists.' }),
  ),
  lease_ttl: duration({
    help: 'How long a lease lasts, and never longer than the identity is remembered (cache.ttl). Changes that the port directory tells of end it at once.',
    default: '5s',
    min: '100ms',
    max: '1m',
  }),
  max_leases: integer({
    help: 'Leases of one worker at a time.',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    unit: 'leases',
  }),
} as const satisfies Table

/** What of the whole configuration a lease depends on. */
interface Leasing {
  readonly forwarding: { readonly leases: boolean }
  readonly compute: { readonly client_key_file?: string | undefined }
  readonly source_mac: string
}

/** Why leases could never be given, though they are asked for. */
export function leaseProblems({ forwarding, compute, source_mac }: Leasing): ConfigProblem[] {
  if (!forwarding.leases) return []
  const problems: ConfigProblem[] = []
  if (compute.client_key_file !== undefined) {
    problems.push({
      path: 'forwarding.leases',
      message: 'cannot go with compute.client_key_file: workers would need the key as well',
    })
  }
  if (source_mac === 'off') {
    problems.push({
      path: 'forwarding.leases',
      message: 'cannot go with source_mac off: a lease is for an address and a MAC that agree',
    })
  }
  return problems
}
