/** May a worker of this host that was broken into query what other hosts serve? */
import { isMapping } from '../runtime/mapping.ts'
import { wholeFinding } from './audit-findings.ts'
import type { Finding } from './finding.ts'
import type { DaemonCode } from './health.ts'

function found(code: DaemonCode, what: string): Finding {
  return wholeFinding({ code, about: 'fence', what })
}

/** Reads the part `servedScopes` of the agent's status. */
export function fenceFindings(status: unknown): readonly Finding[] {
  const fence = isMapping(status) ? status['servedScopes'] : undefined
  if (!isMapping(fence)) return []
  const { state, scopes, supervisors, areWorkersApart } = fence
  if (state === 'off') return [found('fence_off', 'served_scopes.fence is "never"')]
  if (state === 'open') {
    return [found('fence_open', 'open, since no supervisor reports what this host serves')]
  }
  const findings = [
    ...(areWorkersApart === false
      ? [found('fence_breachable', 'workers run as an account that may report')]
      : []),
    ...(supervisors === 0 ? [found('fence_closed', 'closed, and no supervisor is connected')] : []),
  ]
  if (findings.length > 0) return findings
  const what = `closed around ${String(scopes)} scopes of this host`
  return [{ level: 'ok', code: 'fence', what }]
}
