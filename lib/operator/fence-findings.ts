/** May a worker of this host that was broken into ask for what other hosts serve? */
import { isMapping } from '../config/entry.ts'
import { AdminUnreachableError, askAdminJson, type AdminAddress } from '../http/admin-client.ts'
import type { Looked } from './finding.ts'

const danger = 'a worker that is broken into gets answers for every network of the cloud'

/** Reads the part `servedScopes` of the agent's status. */
export function fenceFindings(status: unknown): readonly Looked[] {
  const fence = isMapping(status) ? status['servedScopes'] : undefined
  if (!isMapping(fence)) return []
  const { state, scopes, supervisors, areWorkersApart } = fence
  if (state === 'off') {
    return [
      {
        level: 'warn',
        what: `the fence is open (served_scopes.fence is "never"): ${danger}`,
        remedy: 'Set served_scopes.fence of the agent to "automatic".',
      },
    ]
  }
  if (state === 'open') {
    return [
      {
        level: 'warn',
        what: `the fence is open, since no supervisor reports what this host serves: ${danger}`,
        remedy:
          'Update overlapd-proxy of this host. If it is of this version, its part "servedScopes" in "overlapd status" says why: its supervisor must be in the group overlapd-supervisor, and its served_scopes.sockets must name the socket of served_scopes.socket.',
      },
    ]
  }
  const findings: Looked[] = []
  if (areWorkersApart === false) {
    findings.push({
      level: 'warn',
      what: 'workers run as an account that may report what this host serves, so the fence cannot hold one that is broken into',
      remedy:
        'Start overlapd-proxy as root, or set workers.user, so that workers have an account of their own.',
    })
  }
  if (supervisors === 0) {
    findings.push({
      level: 'warn',
      what: `the fence is closed, and no supervisor is connected: networks that are new to this host get no answer`,
      remedy:
        'Look at overlapd-proxy. If an older one took its place, which reports nothing, restart the agent.',
    })
  }
  return findings.length > 0
    ? findings
    : [{ level: 'ok', what: `the fence is closed around ${String(scopes)} scopes of this host` }]
}

/** Asks the agent. What cannot be reached is the finding of another check. */
export async function askFence(address: AdminAddress): Promise<readonly Looked[]> {
  try {
    return fenceFindings((await askAdminJson(address, '/status')).value)
  } catch (thrown) {
    if (thrown instanceof AdminUnreachableError) return []
    throw thrown
  }
}
