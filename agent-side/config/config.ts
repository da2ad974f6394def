/** What can an operator decide about the agent? One table; parser, `check` and reference are made from it. */
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import type { ConfigOf, ConfigProblem, Table } from '../../lib/config/entry.ts'
import {
  bytes,
  duration,
  fileModeText,
  flag,
  integer,
  leafOption,
  oneOf,
  parseFileMode,
  path,
  text,
} from '../../lib/config/option.ts'
import { secretFile } from '../../lib/config/secret-file.ts'
import { adminTable, log, servingLimits } from '../../lib/config/shared-options.ts'
import { list, optional, section } from '../../lib/config/structure.ts'
import { computeAddress, defaultConfigFiles, defaultSockets } from '../../lib/config/defaults.ts'
import { clientTlsProblem } from '../../lib/files/tls-material.ts'
import { leaseProblems, leasesTable } from './lease-config.ts'
import { neutronFiles } from '../neutron-config/command-files.ts'
import { bootTable, rateLimitTable } from './rate-limit-config.ts'
import { portsTable, sectionOf } from '../ports/registry.ts'
import { proxiesOption } from './proxy-list.ts'
import { routedTable } from './routed-config.ts'
import { sourceMacPolicies } from '../resolve/identity-policy.ts'
import { socketAccountProblem, type SocketMode } from '../../lib/sockets/socket-file.ts'
import { tcp, tcpListenerProblems, tls } from './tcp-listener-config.ts'
import { scopesSocket, servedScopesProblems, servedScopesTable } from '../served-scopes/config.ts'

const socketWords = ['deduce', 'user', 'group', 'all'] as const

const socketMode = leafOption<SocketMode>(
  {
    type: 'file mode',
    expected: 'an octal file mode in quotes such as "0660", or one of deduce, user, group, all',
    parse: ({ value }) => socketWords.find((one) => one === value) ?? parseFileMode(value),
    show: (mode) => (typeof mode === 'number' ? fileModeText(mode) : mode),
  },
  {
    help: 'Who may connect, which is who may say where a request came from: permission bits, or a word as in metadata_proxy_socket_mode.',
    default: '0660',
  },
)

const listener = section({
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

/** Nova's address alone: a path would be put before what guests ask for. */
const upstreamUrl = leafOption<string>(
  {
    type: 'URL',
    expected: 'an http or https URL without a path, such as http://192.0.2.10:8775',
    parse({ value }) {
      if (typeof value !== 'string' || !URL.canParse(value)) return undefined
      const url = new URL(value)
      const isBare = url.pathname === '/' && url.search === '' && url.hash === ''
      const isPlain = url.username === '' && url.password === ''
      const isHttp = url.protocol === 'http:' || url.protocol === 'https:'
      return isBare && isPlain && isHttp ? url.origin : undefined
    },
    show: (value) => value,
  },
  { help: 'One endpoint of the compute metadata API.' },
)

const compute = section({
  upstreams: list(upstreamUrl, {
    help: 'Endpoints of the compute metadata API (nova_metadata_protocol, _host and _port in one), the preferred one first.',
    default: [`http://${computeAddress}`],
    max: 64,
  }),
  shared_secret: secretFile({
    help: "The key that identities are signed with: Nova's metadata_proxy_shared_secret.",
  }),
  next_shared_secret: secretFile({
    help: 'While the key is being changed: the other one. An endpoint that refuses one is asked with the other.',
  }),
  allow_empty_secret: flag({
    help: 'Sign with an empty key. Anybody who reaches Nova can then be any instance.',
    default: false,
  }),
  tls: section({
    ca_file: optional(
      path({
        help: "PEM file of the authorities that may vouch for Nova (auth_ca_cert); the system's otherwise.",
      }),
    ),
    certificate_file: optional(path({ help: 'PEM file of our certificate (nova_client_cert).' })),
    key_file: optional(path({ help: 'PEM file of its key (nova_client_priv_key).' })),
    insecure: flag({
      help: "Do not verify Nova's certificate (nova_metadata_insecure).",
      default: false,
    }),
  }),
  timeout_connect: duration({
    help: 'How long connecting may take.',
    default: '3s',
    min: '10ms',
    max: '1m',
  }),
  timeout_restart: duration({
    help: 'How long a GET waits for endpoints that all refuse connections, before the guest is told to come back: older cloud-init asks only once. Only in the first 15 seconds of an outage. 0s: not at all.',
    default: '3s',
    min: '0s',
    max: '8s',
  }),
  timeout_headers: duration({
    help: 'How long Nova may take to begin its answer. Dynamic vendordata needs time.',
    default: '60s',
    min: '100ms',
    max: '10m',
  }),
  timeout_body: duration({
    help: 'How long Nova may pause in the middle of an answer.',
    default: '30s',
    min: '100ms',
    max: '10m',
  }),
  connections: integer({
    help: 'Connections to each endpoint; more requests wait for one.',
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'connections',
  }),
  concurrency: integer({
    help: 'Requests on their way at most; in between the limit follows how fast compute answers. Never more than connections. Workers with leases share as many again among them.',
    default: 64,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  concurrency_min: integer({
    help: 'Requests on their way that are allowed however slowly compute answers.',
    default: 8,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  concurrency_start: integer({
    help: 'Where the limit begins.',
    default: 32,
    min: 1,
    max: 10_000,
    unit: 'requests',
  }),
  queue: integer({
    help: 'Requests that may wait for their turn; more are told to come back, first those of whoever has most waiting.',
    default: 4_096,
    min: 1,
    max: 1_000_000,
    unit: 'requests',
  }),
  queue_per_project: integer({
    help: 'How many of them of one project.',
    default: 2_048,
    min: 1,
    max: 1_000_000,
    unit: 'requests',
  }),
  timeout_queue: duration({
    help: 'How long a request may wait for its turn. A guest gives up after ten seconds.',
    default: '6s',
    min: '10ms',
    max: '5m',
  }),
  queue_retry_after: duration({
    help: 'Retry-After of those who are sent away: at random from 1 s to this, in whole seconds.',
    default: '5s',
    min: '1s',
    max: '1m',
  }),
  coalesce: duration({
    help: 'How long an answer may be given again to the same instance that asks the same: user_data, network_data.json, vendor_data.json, vendor_data2.json and the EC2 tree. 0s: never.',
    default: '0s',
    min: '0s',
    max: '1m',
  }),
  coalesce_bytes: bytes({
    help: 'Memory for such answers.',
    default: '16MiB',
    min: '64KiB',
    max: '1GiB',
  }),
})

const cache = section({
  max: integer({
    help: 'How many identities to remember.',
    default: 65_536,
    min: 1,
    max: 10_000_000,
    unit: 'identities',
  }),
  ttl: duration({
    help: 'How old a remembered identity may be, counted from when the source said so. A change that the source tells of ends it at once, a new MAC address too.',
    default: '10s',
    min: '0s',
    max: '1h',
  }),
  max_negative: integer({
    help: 'How many refusals to remember.',
    default: 8_192,
    min: 1,
    max: 1_000_000,
    unit: 'refusals',
  }),
  max_negative_per_scope: integer({
    help: 'How many of them for one router or network.',
    default: 256,
    min: 1,
    max: 1_000_000,
    unit: 'refusals',
  }),
  ttl_negative: duration({
    help: 'How long to remember a refusal. Very short: a guest may ask before its port is known.',
    default: '1s',
    min: '0s',
    max: '1m',
  }),
})

const limits = section({
  head_bytes: bytes({
    help: "Largest request head, with what the proxy adds. More than the proxy's own limit.",
    default: '32KiB',
    min: '4KiB',
    max: '256KiB',
  }),
  body_bytes: bytes({
    help: 'Largest request body. Nova itself takes 1,020 bytes.',
    default: '64KiB',
    min: 0,
    max: '16MiB',
  }),
  timeout_head: duration({
    help: 'How long a proxy may take to send a request head.',
    default: '30s',
    min: '100ms',
    max: '5m',
  }),
  timeout_request: duration({
    help: 'How long it may take to send a whole request.',
    default: '60s',
    min: '100ms',
    max: '10m',
  }),
  timeout_keep_alive: duration({
    help: 'How long a connection may idle. Longer than the proxy keeps one.',
    default: '75s',
    min: '1s',
    max: '1h',
  }),
  timeout_resolve: duration({
    help: 'How long finding an identity may take. A guest gives up after ten seconds.',
    default: '8s',
    min: '100ms',
    max: '1m',
  }),
  connections: integer({
    help: 'Connections on each listener.',
    default: 20_000,
    min: 1,
    max: 1_000_000,
    unit: 'connections',
  }),
  questions: integer({
    help: 'Addresses that the port directory may be asked about at the same time.',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'questions',
  }),
  questions_per_scope: integer({
    help: 'How many of them of one router or network, so that one that invents addresses leaves room for the others.',
    default: 1_000,
    min: 1,
    max: 1_000_000,
    unit: 'questions',
  }),
  ...servingLimits,
})

const admin = section({
  ...adminTable(defaultSockets.admin.agent),
  decisions: integer({
    help: 'How many of the latest decisions "explain --request" can find, of good answers and of refusals each.',
    default: 2_048,
    min: 1,
    max: 1_000_000,
    unit: 'decisions',
  }),
})

const table = {
  listeners: list(listener, {
    help: 'Where proxies connect.',
    default: [{}],
    max: 64,
  }),
  ports: section(portsTable, { help: 'Where ports are looked up.' }),
  source_mac: oneOf(sourceMacPolicies, {
    help: "What the source MAC of a guest's connection counts for. prefer: it must agree with the address when a port has it. verify: an unknown one is refused too, and so is a request of overlapd-proxy without one. off: nothing.",
    default: 'prefer',
  }),
  ...routedTable,
  cache,
  compute,
  leases: section(leasesTable),
  served_scopes: section(servedScopesTable, {
    help: 'Which scopes the workers of this host may ask for: a worker that was broken into gets no answer for others.',
  }),
  boot: section(bootTable),
  rate_limit: section(rateLimitTable),
  limits,
  admin,
  log,
} as const satisfies Table

/** The agent's configuration, frozen. */
export type AgentConfig = ConfigOf<typeof table>

/** What no single option can know. */
function problemsOf(config: AgentConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const { compute, listeners, ports } = config
  const hasSecret = compute.shared_secret !== undefined
  if (!hasSecret && !compute.allow_empty_secret) {
    problems.push({
      path: 'compute.shared_secret_file',
      message: 'must be given; without a secret anybody who reaches Nova can be any instance',
    })
  }
  if (hasSecret && compute.allow_empty_secret) {
    problems.push({
      path: 'compute.allow_empty_secret',
      message: 'is true although there is a secret; remove one of them',
    })
  }
  if (!hasSecret && compute.next_shared_secret !== undefined) {
    problems.push({
      path: 'compute.next_shared_secret_file',
      message: 'needs compute.shared_secret_file beside it',
    })
  }
  if ((compute.tls.certificate_file === undefined) !== (compute.tls.key_file === undefined)) {
    problems.push({
      path: 'compute.tls.certificate_file',
      message: 'and compute.tls.key_file only work together',
    })
  }
  const tlsProblem = clientTlsProblem({
    caFile: compute.tls.ca_file,
    certificateFile: compute.tls.certificate_file,
    keyFile: compute.tls.key_file,
  })
  if (tlsProblem !== undefined) problems.push({ path: 'compute', message: tlsProblem })
  const { concurrency_min: least, concurrency_start: start, concurrency: most } = compute
  if (least > most || start < least || start > most) {
    problems.push({
      path: 'compute.concurrency_start',
      message: `${start} must lie between compute.concurrency_min (${least}) and compute.concurrency (${most})`,
    })
  }
  if (compute.upstreams.length === 0) {
    problems.push({ path: 'compute.upstreams', message: 'names no endpoint' })
  }
  if (listeners.length === 0) problems.push({ path: 'listeners', message: 'names no listener' })
  problems.push(...leaseProblems(config), ...servedScopesProblems(config))
  const local = listeners.filter(({ tcp: address }) => address === undefined)
  const sockets = [...local.map((one) => one.socket), config.admin.socket]
  if (config.leases.enabled) sockets.push(config.leases.socket)
  const reports = scopesSocket(config)
  if (reports !== undefined) sockets.push(reports)
  const repeated = sockets.find((socket, index) => sockets.indexOf(socket) !== index)
  if (repeated !== undefined) {
    problems.push({ path: 'listeners', message: `"${repeated}" is used for two sockets` })
  }
  const { tcp } = config.admin
  if (tcp !== undefined && !/^(?:127\.|::1$)/.test(tcp.address)) {
    const message = `${tcp.address} is not a loopback address: there is no authentication, and it tells ports and projects of every tenant`
    problems.push({ path: 'admin.tcp', message })
  }
  for (const [index, one] of listeners.entries()) {
    problems.push(...tcpListenerProblems(one, `listeners[${index}]`))
    const { mode } = one
    const account = one.tcp === undefined ? socketAccountProblem(one) : undefined
    if (account !== undefined) problems.push({ path: `listeners[${index}]`, message: account })
    if (typeof mode === 'number' && (mode & 0o002) !== 0) {
      problems.push({
        path: `listeners[${index}].mode`,
        message:
          'lets every user of the host say which instance it is; name the group of the proxies instead',
      })
    }
  }
  const section = sectionOf[ports.kind]
  if (ports[section] === undefined) {
    problems.push({ path: `ports.${section}`, message: `must be given with kind ${ports.kind}` })
  }
  return problems
}

/** The agent's configuration, for its commands. */
export const agentConfig: ConfigDefinition<typeof table> = {
  table,
  environmentPrefix: 'OVERLAPD_AGENT',
  defaultFile: defaultConfigFiles.agent,
  foreign: neutronFiles,
  check: problemsOf,
}
