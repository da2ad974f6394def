import { headedTable } from '../../lib/observe/text-table.ts'
import type { DemoEnvironment } from './environment.ts'
import type { GuestCheck } from './guest-checks.ts'

const mostRows = 40

/** What was built, in a sentence or two. */
export function introduction(demo: DemoEnvironment): string {
  const { networks } = demo.topology
  const guests = networks.reduce((sum, network) => sum + network.guests.length, 0)
  const where =
    demo.kind === 'namespaces'
      ? `${networks.length} networks with the same subnet, ${guests} guests in their own Linux namespaces.`
      : `${networks.length} networks, ${guests} guests, as loopback listeners.`
  return [where, ...demo.notes].join('\n')
}

/** The table of who got what, and the sentence that sums it up. */
export function checksReport(checks: readonly GuestCheck[]): string {
  const rows = checks
    .slice(0, mostRows)
    .map(({ network, guest, request, answer, gotInstanceId, verdict }) => [
      network.name,
      network.routerId === undefined ? 'isolated' : 'router',
      request.from,
      guest.mac,
      guest.instanceId,
      gotInstanceId ?? `- (${answer.error ?? answer.status})`,
      answer.milliseconds.toFixed(1),
      verdict,
    ])
  const headings = ['network', 'through', 'address', 'MAC', 'instance', 'got', 'ms', 'verdict']
  const hidden = checks.length > mostRows ? `\n… and ${checks.length - mostRows} more` : ''
  return `${headedTable(headings, rows).trimEnd()}${hidden}\n\n${summary(checks)}`
}

function summary(checks: readonly GuestCheck[]): string {
  const guests = new Set(checks.map((check) => check.guest))
  const right = checks.filter((check) => check.verdict === 'own metadata')
  const wrong = checks.filter((check) => check.verdict === 'WRONG METADATA')
  const instances = new Set(right.map((check) => check.guest.instanceId)).size
  const addresses = new Set([...guests].map((guest) => guest.ip)).size
  const families = checks.length > guests.size ? ', over IPv4 and over IPv6' : ''
  if (right.length === checks.length) {
    const shared = addresses === 1 ? 'the same address' : `${addresses} addresses`
    return `${guests.size} guests with ${shared}, ${instances} different instances: each got its own metadata${families}.`
  }
  return `${checks.length - right.length} of ${checks.length} requests were not answered with the guest's own metadata; ${wrong.length} were answered with another guest's.`
}

/** How the programs are called: a package has them in PATH, and a clone has only what was built. */
const installed = { operator: 'overlapd', agent: 'overlapd-agent', proxy: 'overlapd-proxy' }
const built = {
  operator: 'node dist/deploy/overlapd/overlapd.js',
  agent: 'node dist/agent-side/main.js',
  proxy: 'node dist/proxy/main.js',
}
const isInstalled = import.meta.dirname.startsWith('/usr/')

/**
 * Where to look next, while the demo serves.
 * @param environment of the demo: whoever started it by sudo needs sudo again
 */
export function outlook(
  demo: DemoEnvironment,
  environment: NodeJS.ProcessEnv,
  programs = isInstalled ? installed : built,
): string {
  const isByRoot = demo.guestAccess === 'root' && environment['SUDO_USER'] !== undefined
  const asRoot = isByRoot ? 'sudo ' : ''
  const { agentAdminSocket: agent, proxyAdminSocket: proxy, topologyFile } = demo.places
  const both = `--agent ${agent} --proxy ${proxy}`
  const command = `${asRoot}${programs.operator}`
  return [
    'Serving until Ctrl-C. Look around from another terminal:',
    '',
    ...guestHints(demo, asRoot, command),
    '  how the two daemons are:',
    `    ${command} status ${both}`,
    '  both in a browser, on loopback alone:',
    `    ${command} ui ${both}`,
    '  what each daemon runs with, and every option that there is:',
    `    ${asRoot}${programs.agent} check -c ${demo.places.agentConfig}`,
    `    ${asRoot}${programs.proxy} check -c ${demo.places.proxyConfig}`,
    `    ${programs.agent} reference`,
    '  change a port or an instance (the agent watches the file):',
    `    ${asRoot}"\${EDITOR:-vi}" ${topologyFile}`,
  ].join('\n')
}

/** What can be seen of the first guest, and by what. */
function guestHints(demo: DemoEnvironment, asRoot: string, command: string): readonly string[] {
  const network = demo.topology.networks[0]
  const guest = network?.guests[0]
  if (network === undefined || guest === undefined) return []
  const { agentAdminSocket: agent, proxyAdminSocket: proxy } = demo.places
  const scope =
    network.routerId === undefined
      ? `--network ${network.networkId}`
      : `--router ${network.routerId}`
  const [v4, v6] = demo.requestsOf(guest).map(({ url }) => url)
  const inside = demo.guestAccess === 'root' ? `${asRoot}ip netns exec ${guest.netns} ` : ''
  const asGuest = [
    `  as the guest ${guest.name}:`,
    `    ${inside}curl -s ${v4}`,
    ...(v6 === undefined ? [] : [`    ${inside}curl -sg '${v6}'`]),
    `    ${inside}curl -s ${v4?.replace(/\/openstack\/.*/, '/latest/meta-data/')}`,
  ]
  return [
    ...(demo.guestAccess === 'none'
      ? ['  as a guest: start the demo as root, since other terminals cannot enter its namespaces']
      : asGuest),
    `  why ${guest.name} got its answer:`,
    `    ${command} explain ${scope} --ip ${guest.ip} --agent ${agent}`,
    ...(demo.guestAccess === 'root'
      ? [
          '  each hop of a request as that guest would send it, with its milliseconds:',
          `    ${command} test --instance ${guest.instanceId} --agent ${agent} --proxy ${proxy}`,
        ]
      : []),
  ]
}
