/** What can an operator decide about the proxy? One table; parser, `check` and reference are made from it. */
import { availableParallelism } from 'node:os'
import {
  defaultConfigFiles,
  defaultSockets,
  netnsFolder,
  redirectedTcpPort,
} from '../../lib/config/defaults.ts'
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import type { ConfigOf, ConfigProblem } from '../../lib/config/entry.ts'
import { bytes, duration, flag, integer, oneOf, path, text } from '../../lib/config/option.ts'
import { adminTable, log, servingLimits, tcpAddress } from '../../lib/config/shared-options.ts'
import { list, optional, section } from '../../lib/config/structure.ts'
import { agentPlaceProblems, agentsOption, agentTls, scopesSockets } from './agent-places.ts'
import type { NamespaceMapping } from '../namespaces/plan-attachments.ts'
import { identityOf, namespaceKinds } from '../namespaces/identity.ts'
import { ovnProvisionOption, ovnProvisionProblems } from '../ovn-provision/config.ts'

const id = (help: string) =>
  optional(
    text({
      help,
      pattern: /^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$/,
      expected: 'a router or network id',
    }),
  )

const listenOption = tcpAddress({
  help: 'One address to listen on.',
  takesInterface: true,
  min: 1,
})

const interfacePattern = {
  pattern: /^[A-Za-z0-9._@-]{0,14}\*?$/,
  expected: 'the name of an interface, or a beginning with * behind it',
}

const mapping = section({
  netns: text({ help: 'Name of the namespace, or an absolute path.' }),
  router: id('The router it belongs to.'),
  network: id('The network it belongs to, sent as haproxy of the DHCP agent does.'),
  ovn_network: id('The network it belongs to, sent as haproxy of the OVN agents does.'),
  listen: optional(
    list(listenOption, { help: 'Where to listen instead of the usual addresses.', max: 16 }),
  ),
  intercept: optional(
    flag({ help: 'Whether to redirect the metadata address. Usual for routers.' }),
  ),
  interface: optional(
    text({
      help: 'The only interface on which fe80::a9fe:a9fe is looked for.',
      pattern: /^[A-Za-z0-9._@-]{1,15}$/,
      expected: 'the name of an interface',
    }),
  ),
})

const table = {
  netns_dir: path({ help: 'Where namespaces have their names.', default: netnsFolder }),
  discover: flag({
    help: 'Serve every namespace that is called as Neutron calls it: qrouter-ID, qdhcp-ID, ovnmeta-ID. Without it only mappings count.',
    default: true,
  }),
  kinds: list(oneOf(namespaceKinds, { help: 'router, network or ovn.' }), {
    help: 'Which sorts of namespaces to discover: those of the L3 agent, the DHCP agent, the OVN metadata agent.',
    default: [...namespaceKinds],
  }),
  mappings: list(mapping, {
    help: 'Namespaces with other names, or to be served in another way. Exactly one of router, network and ovn_network each.',
    default: [],
  }),
  poll_interval: duration({
    help: 'How often all namespaces are read anew without a reported change.',
    default: '30s',
    min: '1s',
  }),
  agents: agentsOption,
  agent: section({
    tls: optional(agentTls),
    connections: integer({
      help: 'Connections to each agent that each worker holds at most.',
      unit: 'connections',
      default: 64,
      min: 1,
      max: 4096,
    }),
    timeout_connect: duration({
      help: 'For connecting to the agent, or to one after the other where there are several.',
      default: '5s',
      min: '10ms',
    }),
    timeout_headers: duration({
      help: "Until the agent's answer begins. Dynamic vendordata can take long.",
      default: '60s',
      min: '10ms',
    }),
    timeout_body: duration({
      help: "Between two pieces of the agent's answer.",
      default: '60s',
      min: '10ms',
    }),
  }),
  served_scopes: section({ sockets: scopesSockets }),
  forwarding: oneOf(['auto', 'agent', 'direct'], {
    help: 'Which way requests go. auto: straight to Nova for a guest whose signed headers the agent of this host has leased to the worker (leases.enabled of overlapd-agent) while the worker reaches Nova, and through the agent otherwise; each request is decided by itself. agent: always through the agent. direct: the same as auto.',
    default: 'auto',
  }),
  leases: section({
    socket: path({
      help: "UNIX socket on which overlapd-agent of this host leases. Neutron's agent has none; then everything goes through the agent.",
      default: defaultSockets.leases,
    }),
    per_worker: integer({
      help: 'Leases that each worker holds at most. Not more than leases.per_worker of the agent is of use.',
      unit: 'leases',
      default: 4096,
      min: 1,
      max: 1_000_000,
    }),
    connections: integer({
      help: 'Connections of each worker to each Nova endpoint; more requests go over the agent.',
      unit: 'connections',
      default: 32,
      min: 1,
      max: 4096,
    }),
    timeout_connect: duration({
      help: 'For connecting to Nova, after which the request goes over the agent.',
      default: '1s',
      min: '10ms',
    }),
  }),
  workers: section({
    count: integer({
      help: 'Processes that talk to guests. 0: two, or one where there is one processor.',
      unit: 'processes',
      default: 0,
      min: 0,
      max: 64,
    }),
    user: optional(
      text({
        help: 'Who the workers run as, by name or number; otherwise overlapd-proxy where that account exists, else "nobody". Used when the proxy may change it.',
      }),
    ),
    group: optional(text({ help: "Their group, by name or number; the user's own otherwise." })),
    memory_bytes: bytes({
      help: 'JavaScript heap of each worker. One that needs more ends and is replaced.',
      default: '256MiB',
      min: '32MiB',
    }),
  }),
  limits: section({
    head_bytes: bytes({
      help: "Request line and headers of a guest's request.",
      default: '16KiB',
      min: '1KiB',
      max: '64KiB',
    }),
    body_bytes: bytes({ help: "Body of a guest's request.", default: '64KiB', max: '16MiB' }),
    timeout_head: duration({
      help: 'For a guest to send the head of a request.',
      default: '10s',
      min: '100ms',
    }),
    timeout_request: duration({
      help: 'For a guest to send a whole request.',
      default: '30s',
      min: '100ms',
    }),
    timeout_keep_alive: duration({
      help: 'How long an idle connection is kept for the next request.',
      default: '30s',
      min: '100ms',
    }),
    connections_per_source: integer({
      help: 'Connections of one guest (MAC, or address where no MAC is known) in one namespace whose requests are served at once, in each worker: two at first, and one more every 10 ms while they go on. The requests of more connections wait their turn.',
      unit: 'connections',
      default: 16,
      min: 1,
      max: 65_535,
    }),
    connections_per_namespace: integer({
      help: 'Open connections in one namespace, in each worker. A new connection beyond that replaces one of the guest that holds most.',
      unit: 'connections',
      default: 1024,
      min: 1,
      max: 65_535,
    }),
    requests_per_connection: integer({
      help: 'Requests after which a connection is closed.',
      unit: 'requests',
      default: 1000,
      min: 1,
      max: 1_000_000,
    }),
    ...servingLimits,
  }),
  intercept: section({
    enabled: flag({
      help: 'Redirect the metadata address in router namespaces, by rules in a table of our own.',
      default: true,
    }),
    interface: text({
      help: "Interfaces that guests are behind: a name, or a beginning as in qr-*. With * every interface but those of Neutron's external and transit networks.",
      default: '*',
      ...interfacePattern,
    }),
    tcp_port: integer({
      help: 'Where the redirection leads, and where we listen in router namespaces.',
      default: redirectedTcpPort,
      min: 1,
      max: 65_535,
    }),
    keep_on_exit: flag({
      help: 'Leave the rules when the proxy stops.',
      default: false,
    }),
  }),
  ovn_provision: ovnProvisionOption,
  canary: section({
    enabled: flag({
      help: 'Check each served namespace from its inside now and then, and report the result. The check sends nothing to Nova and belongs to no guest.',
      default: false,
    }),
    interval: duration({
      help: 'From one round to the next, give or take a quarter.',
      default: '60s',
      min: '100ms',
    }),
    timeout_answer: duration({ help: 'For one answer.', default: '5s', min: '100ms', max: '1m' }),
    concurrency: integer({
      help: 'Namespaces that are checked at the same time.',
      unit: 'namespaces',
      default: 4,
      min: 1,
      max: 64,
    }),
    check_agent: flag({
      help: "Send the check on to the agent. Not with Neutron's own, which would log an error each time.",
      default: true,
    }),
  }),
  admin: section(adminTable(defaultSockets.admin.proxy)),
  control: section({
    socket: path({
      help: 'UNIX socket, root only, over which overlapd-haproxy and "overlapd-proxy adopt" have namespaces served. Beside it lies a folder "attachments" with their records.',
      default: defaultSockets.control,
    }),
  }),
  restart: section({
    serve_after_crash: duration({
      help: 'How long workers serve without a supervisor: after a crash, kill -9 or SIGUSR2. A supervisor that starts in that time takes over from them; with 0s they end at once. Not used with service_store.',
      default: '30s',
      max: '10m',
    }),
    service_store: flag({
      help: 'Have systemd keep the listening sockets over a restart; the unit needs FileDescriptorStoreMax= and KillMode=process. Rules stay when the proxy stops, and workers finish by themselves.',
      default: false,
    }),
  }),
  log,
} as const

/** The proxy's configuration, read and frozen. */
export type ProxyConfig = ConfigOf<typeof table>
type MappingConfig = ProxyConfig['mappings'][number]

/** What `serve`, `check` and the reference share. */
export const proxyConfig: ConfigDefinition<typeof table> = {
  table,
  environmentPrefix: 'OVERLAPD_PROXY',
  defaultFile: defaultConfigFiles.proxy,
  check: problemsOf,
}

function problemsOf(config: ProxyConfig): readonly ConfigProblem[] {
  return [
    ...agentPlaceProblems(config),
    ...mappingProblems(config),
    ...ovnProvisionProblems(config),
  ]
}

function mappingProblems({ mappings }: ProxyConfig): readonly ConfigProblem[] {
  const names = mappings.map(({ netns }) => netns)
  return mappings.flatMap((one, index) => {
    const problems: ConfigProblem[] = []
    const path = `mappings[${index}]`
    if (readMapping(one) === undefined) {
      problems.push({ path, message: 'needs exactly one of router, network and ovn_network' })
    }
    if (names.indexOf(one.netns) !== index) {
      problems.push({ path, message: `"${one.netns}" is mapped more than once` })
    }
    return problems
  })
}

/** @returns `undefined` when not exactly one scope is named */
export function readMapping(config: MappingConfig): NamespaceMapping | undefined {
  const { netns, listen, intercept, interface: onInterface } = config
  const scopes = [
    identityOf('router', config.router),
    identityOf('network', config.network),
    identityOf('ovn', config.ovn_network),
  ].filter((identity) => identity !== undefined)
  const [identity] = scopes
  if (identity === undefined || scopes.length !== 1) return undefined
  return {
    netns,
    identity,
    ...(listen !== undefined && { listen }),
    ...(intercept !== undefined && { intercept }),
    ...(onInterface !== undefined && { interface: onInterface }),
  }
}

/** Two workers survive the death of one; more are needed only by a busy host. */
export function workerCount(config: ProxyConfig): number {
  return config.workers.count === 0 ? Math.min(2, availableParallelism()) : config.workers.count
}
