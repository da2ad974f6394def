import { headedTable } from '../../lib/observe/text-table.ts'
import type { Stage } from './stage.ts'
import type { Visit } from './visits.ts'

const mostRows = 40

/** What was built, in a sentence or two. */
export function introduction(stage: Stage): string {
  const { networks } = stage.topology
  const guests = networks.reduce((sum, network) => sum + network.guests.length, 0)
  const where =
    stage.kind === 'namespaces'
      ? `${networks.length} networks with the same subnet, ${guests} guests in their own Linux namespaces.`
      : `${networks.length} networks, ${guests} guests, as loopback listeners.`
  return [where, ...stage.notes].join('\n')
}

/** The table of who got what, and the sentence that sums it up. */
export function visitReport(visits: readonly Visit[]): string {
  const rows = visits
    .slice(0, mostRows)
    .map(({ network, guest, question, answer, gotInstanceId, verdict }) => [
      network.name,
      network.routerId === undefined ? 'isolated' : 'router',
      question.from,
      guest.mac,
      guest.instanceId,
      gotInstanceId ?? `- (${answer.error ?? answer.status})`,
      answer.milliseconds.toFixed(1),
      verdict,
    ])
  const headings = ['network', 'through', 'address', 'MAC', 'instance', 'got', 'ms', 'verdict']
  const hidden = visits.length > mostRows ? `\n… and ${visits.length - mostRows} more` : ''
  return `${headedTable(headings, rows).trimEnd()}${hidden}\n\n${summary(visits)}`
}

function summary(visits: readonly Visit[]): string {
  const guests = new Set(visits.map((visit) => visit.guest))
  const right = visits.filter((visit) => visit.verdict === 'own metadata')
  const wrong = visits.filter((visit) => visit.verdict === 'WRONG METADATA')
  const instances = new Set(right.map((visit) => visit.guest.instanceId)).size
  const addresses = new Set([...guests].map((guest) => guest.ip)).size
  const families = visits.length > guests.size ? ', over IPv4 and over IPv6' : ''
  if (right.length === visits.length) {
    const shared = addresses === 1 ? 'the same address' : `${addresses} addresses`
    return `${guests.size} guests with ${shared}, ${instances} different instances: each got its own metadata${families}.`
  }
  return `${visits.length - right.length} of ${visits.length} requests were not answered with the guest's own metadata; ${wrong.length} were answered with another guest's.`
}

/** How the programs are called: a package has them in PATH, and a clone has only what was built. */
const installed = { operator: 'overlapd', agent: 'overlapd-agent', proxy: 'overlapd-proxy' }
const built = {
  operator: 'node dist/deploy/overlapd/overlapd.js',
  agent: 'node dist/agent-side/main.js',
  proxy: 'node dist/proxy/main.js',
}
const isInstalled = import.meta.dirname.startsWith('/usr/')

/** Where to look next, while the demo serves. */
export function outlook(stage: Stage, programs = isInstalled ? installed : built): string {
  const network = stage.topology.networks[0]
  const guest = network?.guests[0]
  if (network === undefined || guest === undefined) return 'Ctrl-C ends the demo.'
  const scope =
    network.routerId === undefined
      ? `--network ${network.networkId}`
      : `--router ${network.routerId}`
  const [v4, v6] = stage.questionsOf(guest).map(({ url }) => url)
  const inside = stage.kind === 'namespaces' ? `sudo ip netns exec ${guest.netns} ` : ''
  const { agentAdminSocket, proxyAdminSocket } = stage.places
  const { operator: command, agent, proxy } = programs
  return [
    'Serving until Ctrl-C. Look around from another terminal:',
    '',
    `  as the guest ${guest.name}:`,
    `    ${inside}curl -s ${v4}`,
    ...(v6 === undefined ? [] : [`    ${inside}curl -sg '${v6}'`]),
    `    ${inside}curl -s ${v4?.replace(/\/openstack\/.*/, '/latest/meta-data/')}`,
    '  why it got this answer:',
    `    ${command} explain ${scope} --ip ${guest.ip} --agent ${agentAdminSocket}`,
    ...(stage.kind === 'namespaces'
      ? [
          '  each hop of a request as it would send it, with its milliseconds:',
          `    ${command} test --instance ${guest.instanceId} --agent ${agentAdminSocket} --proxy ${proxyAdminSocket}`,
        ]
      : []),
    '  how the two daemons are:',
    `    ${command} status --agent ${agentAdminSocket} --proxy ${proxyAdminSocket}`,
    '  both in a browser, on loopback alone:',
    `    ${command} ui --agent ${agentAdminSocket} --proxy ${proxyAdminSocket}`,
    '  what each daemon runs with, and every option that there is:',
    `    ${agent} check -c ${stage.places.agentConfig}`,
    `    ${proxy} check -c ${stage.places.proxyConfig}`,
    `    ${agent} reference`,
    '  change a port or an instance (the agent watches the file):',
    `    "\${EDITOR:-vi}" ${stage.places.topologyFile}`,
  ].join('\n')
}
