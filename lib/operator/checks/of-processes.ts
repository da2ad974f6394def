/** May the processes of the daemons do what they must? */
import { statSync } from 'node:fs'
import { causeText } from '../../runtime/errors.ts'
import { openFiles, processFacts, type ProcessFacts } from '../../host/process-facts.ts'
import { whyCannotOpen } from '../../host/socket-access.ts'
import { mappings, textOf } from '../answer-fields.ts'
import type { Finding } from '../finding.ts'
import { hostFinding, wellFinding } from '../host-codes.ts'
import type { DaemonFacts, HostFacts } from '../host-facts.ts'

/** What the supervisor needs. @see capabilities(7), linux/capability.h */
const needed = { CAP_NET_BIND_SERVICE: 10n, CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n } as const

function factsOf({ daemons }: HostFacts, name: 'proxy' | 'agent'): DaemonFacts | undefined {
  return daemons.find(({ daemon }) => daemon === name)
}

/** Whether the proxy that runs has the capabilities that it needs. */
export function checkProcesses(facts: HostFacts): readonly Finding[] {
  const { process } = factsOf(facts, 'proxy') ?? {}
  if (process === undefined) return []
  const { pid, capabilities } = process
  const missing = Object.entries(needed)
    .filter(([, bit]) => ((capabilities >> bit) & 1n) === 0n)
    .map(([name]) => name)
  const about = `overlapd-proxy, process ${pid}`
  return missing.length === 0
    ? [wellFinding('processes', `${about} has its capabilities`)]
    : [hostFinding('capability_missing', about, `${missing.join(', ')} missing`)]
}

/** With so much of its limit in use a process should have more. */
const mostUsed = 0.8

/** Whether a daemon comes near to its limit of open files. */
export function checkFiles(facts: HostFacts): readonly Finding[] {
  const pids = [
    ...facts.daemons.flatMap(({ process }) => process?.pid ?? []),
    ...workersOf(facts).map(({ pid }) => pid),
  ]
  return pids.flatMap((pid) => {
    const files = openFiles(pid)
    if (files === undefined || files.open < files.limit * mostUsed) return []
    const what = `${files.open} of ${files.limit} files are open`
    return [hostFinding('files_limit', `process ${pid}`, what)]
  })
}

function workersOf(facts: HostFacts): readonly ProcessFacts[] {
  const { status = {} } = factsOf(facts, 'proxy') ?? {}
  return mappings(status['workers']).flatMap(({ pid }) =>
    typeof pid === 'number' ? (processFacts(pid) ?? []) : [],
  )
}

/** Whether the accounts that open the sockets may. */
export function checkSockets(facts: HostFacts): readonly Finding[] {
  const proxy = factsOf(facts, 'proxy')
  const places = mappings(proxy?.status['agents']).map(({ agent }) => textOf(agent))
  const [worker] = workersOf(facts)
  const toAgents = places
    .filter((place) => place.startsWith('/'))
    .flatMap((socket) => accessFindings(socket, 'workers of overlapd-proxy', worker))
  const reports = mappings(proxy?.status['servedScopes']).map(({ socket }) => textOf(socket))
  const toScopes = reports
    .filter((path) => path !== '' && isThere(path))
    .flatMap((socket) => accessFindings(socket, 'the supervisor', proxy?.process))
  const exposed = facts.daemons.flatMap(({ address, health }) =>
    health.reachable && address.startsWith('/') ? exposedFindings(address) : [],
  )
  const findings = [...toAgents, ...toScopes, ...exposed]
  return findings.length > 0 || worker === undefined
    ? findings
    : [wellFinding('sockets', 'owners and modes let in who must get in')]
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function accessFindings(
  socket: string,
  who: string,
  process: ProcessFacts | undefined,
): readonly Finding[] {
  if (process === undefined) return []
  try {
    const why = whyCannotOpen(socket, process)
    if (why === undefined) return []
    const groups = [...process.groupIds].join(', ')
    const what = `${who} (user ${process.userId}, groups ${groups}) cannot open it: ${why}`
    return [hostFinding('socket_closed', socket, what)]
  } catch (cause) {
    // Whether a process listens is the finding of another check.
    return [hostFinding('agent_down', socket, causeText(cause))]
  }
}

const othersMayWrite = 0o002

function exposedFindings(socket: string): readonly Finding[] {
  const mode = (statSync(socket, { throwIfNoEntry: false })?.mode ?? 0) & 0o777
  if ((mode & othersMayWrite) === 0) return []
  return [hostFinding('socket_exposed', socket, `its mode is ${mode.toString(8).padStart(4, '0')}`)]
}
