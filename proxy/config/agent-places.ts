/** How does the operator write where agents are? */
import { isAbsolute, resolve } from 'node:path'
import { systemClock } from '../../lib/runtime/clock.ts'
import type { ConfigProblem, ValueOf } from '../../lib/config/entry.ts'
import { defaultSockets } from '../../lib/config/defaults.ts'
import { leafOption, path, text } from '../../lib/config/option.ts'
import { mutualTls, mutualTlsFiles } from '../../lib/config/shared-options.ts'
import { list, optional, section } from '../../lib/config/structure.ts'
import { hostText, parseHostPort } from '../../lib/identity/tcp-address.ts'
import { tlsFilesProblem } from '../../lib/files/tls-material.ts'
import { scopesSocketBeside } from '../../lib/wire/served-scopes.ts'

/** An agent on this host, or on another. */
export type AgentPlace =
  | { readonly kind: 'unix'; readonly socket: string }
  | { readonly kind: 'tls'; readonly host: string; readonly tcpPort: number }

/** Reads `/run/overlapd/agent.sock` or `https://agent.example:9699`. @param directory what a relative path is relative to */
export function parseAgentPlace(value: unknown, directory: string): AgentPlace | undefined {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) return undefined
  if (!/^[a-z]+:/i.test(value)) {
    return { kind: 'unix', socket: isAbsolute(value) ? value : resolve(directory, value) }
  }
  const [, server = ''] = /^https:\/\/([^/]+)\/?$/.exec(value) ?? []
  const place = parseHostPort(server)
  return place && { kind: 'tls', ...place }
}

/** The inverse of {@link parseAgentPlace}. */
export function agentPlaceText(place: AgentPlace): string {
  if (place.kind === 'unix') return place.socket
  const { host, tcpPort } = place
  return `https://${hostText(host)}:${tcpPort}`
}

/** The option `agents`. */
export const agentsOption = list(
  leafOption<AgentPlace>(
    {
      type: 'agent',
      expected: 'the path of a socket or a URL such as https://agent.example:9699',
      parse: ({ value, source }) => parseAgentPlace(value, source.directory),
      show: agentPlaceText,
    },
    { help: 'One agent.' },
  ),
  {
    help: "Agents, the preferred one first: paths of UNIX sockets of overlapd-agent or of Neutron's own metadata agent, or https://HOST:PORT with agent.tls. Workers send a request to the next one when an agent cannot be reached.",
    default: [defaultSockets.agent],
    max: 16,
  },
)

/** The section `agent.tls`. */
export const agentTls = section({
  ...mutualTls,
  server_name: optional(
    text({
      help: 'DNS name that the certificates of agents must bear, instead of the host in the URL.',
      pattern: /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/,
      expected: 'a DNS name',
    }),
  ),
})

/** The part of the configuration that is about where agents are; `agents` are in order of preference. */
export interface AgentPlacesConfig {
  readonly agents: readonly AgentPlace[]
  readonly agent: {
    readonly tls: ValueOf<typeof agentTls> | undefined
  }
}

/** The option `served_scopes.sockets`. */
export const scopesSockets = optional(
  list(path({ help: 'One socket.' }), {
    help: 'UNIX sockets on which overlapd-agent of this host receives which routers and networks the host serves (served_scopes.socket there). By default one beside the socket of each agent: agent-scopes.sock beside agent.sock.',
    max: 16,
  }),
)

/** Where the agents of this host receive what it serves. Those of other hosts know by certificates. */
export function scopesSocketsOf({
  agents,
  served_scopes: { sockets },
}: Pick<AgentPlacesConfig, 'agents'> & {
  readonly served_scopes: { readonly sockets: readonly string[] | undefined }
}): readonly string[] {
  const local = agents.filter((place) => place.kind === 'unix')
  return sockets ?? local.map(({ socket }) => scopesSocketBeside(socket))
}

/** What no single option can know. */
export function agentPlaceProblems(config: AgentPlacesConfig): readonly ConfigProblem[] {
  const { agents, agent } = config
  const problems: ConfigProblem[] = []
  const names = agents.map(agentPlaceText)
  const repeated = names.find((name, index) => names.indexOf(name) !== index)
  const isRemote = agents.some(({ kind }) => kind === 'tls')
  if (repeated !== undefined) {
    problems.push({ path: 'agents', message: `"${repeated}" is named more than once` })
  }
  if (agents.length === 0) problems.push({ path: 'agents', message: 'names no agent' })
  if (isRemote !== (agent.tls !== undefined)) {
    const message = isRemote
      ? 'must be given: agents of other hosts want a certificate'
      : 'is given, and no agent is on another host'
    problems.push({ path: 'agent.tls', message })
  }
  if (agent.tls !== undefined) {
    const problem = tlsFilesProblem(mutualTlsFiles(agent.tls), systemClock.wallTime())
    if (problem !== undefined) problems.push({ path: 'agent.tls', message: problem })
  }
  return problems
}
