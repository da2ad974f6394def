/** What can an operator decide about a socket at which proxies connect? */
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { defaultSockets } from '../../lib/config/defaults.ts'
import {
  fileModeText,
  flag,
  leafOption,
  oneOf,
  parseFileMode,
  path,
  text,
} from '../../lib/config/option.ts'
import { optional, section } from '../../lib/config/structure.ts'
import { socketAccountProblem, type SocketMode } from '../../lib/sockets/socket-file.ts'
import { proxiesOption } from './proxy-list.ts'
import { tcp, tcpListenerProblems, tls } from './tcp-listener-config.ts'

const socketWords = ['deduce', 'user', 'group', 'all'] as const

const socketMode = leafOption<SocketMode>(
  {
    type: 'file mode',
    expected: 'an octal file mode in quotes such as "0660", or one of deduce, user, group, all',
    parse: ({ value }) => socketWords.find((one) => one === value) ?? parseFileMode(value),
    show: (mode) => (typeof mode === 'number' ? fileModeText(mode) : mode),
    plain: (mode) => (typeof mode === 'number' ? fileModeText(mode) : mode),
  },
  {
    help: 'Who may connect, which is who may state where a request came from: permission bits, or a word as in metadata_proxy_socket_mode.',
    default: '0660',
  },
)

/** One entry of `listeners`. */
export const listener = section({
  kind: oneOf(['overlapd', 'neutron'], {
    help: 'Who connects: overlapd-proxy, or haproxy as Neutron configures it. Never share one socket between them.',
    default: 'overlapd',
  }),
  flavour: oneOf(['ml2', 'ovn'], {
    help: 'With kind neutron: whose haproxy. ml2 is that of the L3 and DHCP agents.',
    default: 'ml2',
  }),
  socket: path({
    help: 'UNIX socket, as metadata_proxy_socket. Not used with tcp.',
    default: defaultSockets.agent,
  }),
  tcp: optional(tcp),
  tls: optional(tls),
  proxies: proxiesOption,
  proxies_file: optional(
    path({
      help: 'File that holds the list of proxies instead; it is read again when it changes.',
    }),
  ),
  proxies_by_chassis: flag({
    help: 'A certificate that is not on the list, and has the name or hostname of an OVN chassis, may send requests for the networks that have a port bound there. Needs ports.kind ovn with copy all.',
    default: false,
  }),
  mode: socketMode,
  user: optional(
    text({
      help: 'Owner of the socket file; with a word as mode, the user that the proxies run as (metadata_proxy_user).',
    }),
  ),
  group: optional(
    text({
      help: 'Group of the socket file; otherwise overlapd-proxy where that group exists and kind is overlapd. With a word as mode, the group that the proxies run as (metadata_proxy_group).',
    }),
  ),
})

/** What no single option can know. */
export function listenerProblems(
  listeners: readonly ValueOf<typeof listener>[],
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  for (const [index, one] of listeners.entries()) {
    problems.push(...tcpListenerProblems(one, `listeners[${index}]`))
    const { mode } = one
    const account = one.tcp === undefined ? socketAccountProblem(one) : undefined
    if (account !== undefined) problems.push({ path: `listeners[${index}]`, message: account })
    if (typeof mode === 'number' && (mode & 0o002) !== 0) {
      problems.push({
        path: `listeners[${index}].mode`,
        message:
          'lets every user of the host claim to be any instance; name the group of the proxies instead',
      })
    }
  }
  return problems
}
