/** What can an operator decide about the agent? One table; parser, `check` and reference are made from it. */
import type { ConfigDefinition } from '../../lib/cli/config-command.ts'
import type { ConfigOf, ConfigProblem, Table } from '../../lib/config/entry.ts'
import { bytes, duration, integer, oneOf } from '../../lib/config/option.ts'
import { adminTable, log, servingLimits } from '../../lib/config/shared-options.ts'
import { list, section } from '../../lib/config/structure.ts'
import { defaultConfigFiles, defaultSockets } from '../../lib/config/defaults.ts'
import { compute, computeProblems } from './compute-config.ts'
import { leaseProblems, leasesTable } from './lease-config.ts'
import { neutronFiles } from '../neutron-config/command-files.ts'
import { bootTable, rateLimitTable } from './rate-limit-config.ts'
import { directoryKinds, portsTable, sectionOf, type DirectoryKind } from '../ports/registry.ts'
import { listener, listenerProblems } from './listener-config.ts'
import { routedTable } from './routed-config.ts'
import { shieldProblems, shieldTable } from './shield-config.ts'
import { sourceMacPolicies } from '../resolve/identity-policy.ts'
import { scopesSocket, servedScopesProblems, servedScopesTable } from '../served-scopes/config.ts'

const cache = section({
  max: integer({
    help: 'How many identities to remember.',
    default: 65_536,
    min: 1,
    max: 10_000_000,
    unit: 'identities',
  }),
  ttl: duration({
    help: 'How old a remembered identity may be, counted from when it was looked up. A change that the source reports ends it at once, a new MAC address too.',
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
    help: 'How long to remember a refusal. Very short: a guest may send requests before its port is known.',
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
  lookups: integer({
    help: 'Addresses that are looked up in the port directory at the same time.',
    default: 10_000,
    min: 1,
    max: 1_000_000,
    unit: 'lookups',
  }),
  lookups_per_scope: integer({
    help: 'How many of them of one router or network, so that one that invents addresses leaves room for the others.',
    default: 1_000,
    min: 1,
    max: 1_000_000,
    unit: 'lookups',
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
    help: 'Which scopes the workers of this host may send requests for: a worker that was broken into gets no answer for others.',
  }),
  shield: section(shieldTable, {
    help: 'What keeps metadata from those inside a guest who should not have it.',
  }),
  boot: section(bootTable),
  rate_limit: section(rateLimitTable),
  limits,
  admin,
  log,
} as const satisfies Table

/** The agent's configuration, frozen. */
export type AgentConfig = ConfigOf<typeof table>

/** Whether a listener grants scopes by where OVN has bound the ports. */
export function grantsByHost({ listeners }: Pick<AgentConfig, 'listeners'>): boolean {
  return listeners.some((each) => each.proxies_by_chassis)
}

/** `static` is not always a choice: a file that is still as it was installed has it. */
function missingDirectory(kind: DirectoryKind): ConfigProblem {
  const section = sectionOf[kind]
  if (kind !== 'static') {
    return { path: `ports.${section}`, message: `must be given with kind ${kind}` }
  }
  const others = directoryKinds.filter((each) => each !== kind).join(', ')
  return {
    path: 'ports',
    message: `no source of ports is configured: set ports.kind (${others}) and the section of that kind, or ports.static.file`,
  }
}

/** What no single option can know. */
function problemsOf(config: AgentConfig): readonly ConfigProblem[] {
  const { compute, listeners, ports } = config
  const problems: ConfigProblem[] = [...computeProblems(compute)]
  if (listeners.length === 0) problems.push({ path: 'listeners', message: 'names no listener' })
  problems.push(...leaseProblems(config), ...servedScopesProblems(config))
  problems.push(...shieldProblems(config))
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
    const message = `${tcp.address} is not a loopback address: there is no authentication, and it shows ports and projects of every tenant`
    problems.push({ path: 'admin.tcp', message })
  }
  problems.push(...listenerProblems(listeners))
  if (grantsByHost(config) && (ports.kind !== 'ovn' || ports.ovn?.copy === 'served')) {
    const path = 'listeners'
    problems.push({ path, message: 'proxies_by_chassis needs ports.kind ovn with copy all' })
  }
  const section = sectionOf[ports.kind]
  if (ports[section] === undefined) {
    problems.push(missingDirectory(ports.kind))
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
