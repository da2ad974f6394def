/** What can an operator decide about the scopes that workers may send requests for? */
import { userIdOf } from '../../lib/files/accounts.ts'
import type { ConfigProblem, Table } from '../../lib/config/entry.ts'
import { fileMode, oneOf, path, text } from '../../lib/config/option.ts'
import { optional } from '../../lib/config/structure.ts'
import { scopesSocketBeside } from '../../lib/wire/served-scopes.ts'

/** The section `served_scopes`. */
export const servedScopesTable = {
  fence: oneOf(['automatic', 'always', 'never'], {
    help: 'Whether workers of this host get answers for the routers and networks alone that the supervisor of their overlapd-proxy reports. automatic: once a supervisor has reported. always: from the start, so that an overlapd-proxy that reports nothing gets no answers. never: no report is read.',
    default: 'automatic',
  }),
  socket: optional(
    path({
      help: 'UNIX socket for the reports. By default it is beside the socket of the first listener for overlapd-proxy: agent-scopes.sock beside agent.sock.',
    }),
  ),
  mode: fileMode({
    help: 'Permission bits of the socket for the reports.',
    default: '0660',
    isForFew: true,
  }),
  group: optional(
    text({
      help: 'Group of the socket for the reports, never one of the workers. By default overlapd-supervisor where that group exists; without a group only the owner and a root with every capability can connect.',
    }),
  ),
  supervisor: optional(
    text({
      help: 'Account of a supervisor that does not run as root, by name or number.',
    }),
  ),
} as const satisfies Table

/** What of the whole configuration decides who reports and where. */
interface FencedConfig {
  readonly listeners: readonly {
    readonly kind: 'overlapd' | 'neutron'
    readonly tcp: unknown
    readonly socket: string
  }[]
  readonly served_scopes: {
    readonly fence: 'automatic' | 'always' | 'never'
    readonly socket: string | undefined
    readonly supervisor: string | undefined
  }
}

/** @returns where supervisors report; `undefined` where no worker of this host connects, or no report is wanted */
export function scopesSocket(config: FencedConfig): string | undefined {
  const { fence, socket } = config.served_scopes
  const first = config.listeners.find(({ kind, tcp }) => kind === 'overlapd' && tcp === undefined)
  if (fence === 'never' || first === undefined) return undefined
  return socket ?? scopesSocketBeside(first.socket)
}

/** What keeps supervisors from being known on this host. */
export function servedScopesProblems({ served_scopes: options }: FencedConfig): ConfigProblem[] {
  const { supervisor } = options
  if (supervisor === undefined || userIdOf(supervisor) !== undefined) return []
  return [{ path: 'served_scopes.supervisor', message: `user "${supervisor}" is unknown` }]
}
