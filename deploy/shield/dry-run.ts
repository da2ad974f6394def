/** What of that which was seen would a policy refuse? */
import { readPolicyFile } from '../../agent-side/shield/policy-file.ts'
import { GuestPolicy } from '../../agent-side/shield/policy.ts'
import { unmatchedRules } from '../../agent-side/shield/unmatched-rules.ts'
import {
  parseInstanceId,
  parseNetworkId,
  parseProjectId,
  parseRouterId,
} from '../../lib/identity/ids.ts'
import type { Scope } from '../../lib/identity/scope.ts'
import type { EpochMilliseconds } from '../../lib/runtime/clock.ts'
import type { SeenRow } from '../../lib/shield/seen-row.ts'
import { shields } from '../../lib/shield/shields.ts'

/**
 * The rows of which the policy would refuse some. A shield that was off when they were seen counts as one that they do not pass.
 * @throws {ConfigError} when the file is no policy
 */
export function refusedUnder(
  file: string,
  seen: readonly SeenRow[],
  since: EpochMilliseconds,
): readonly SeenRow[] {
  const rules = readPolicyFile(file, true)
  return seen.filter((row) => {
    const instanceId = parseInstanceId(row.instanceId)
    const networkId = parseNetworkId(row.networkId)
    const projectId = parseProjectId(row.projectId)
    const scope = scopeOf(row)
    if (!instanceId || !networkId || !projectId || !scope) return false
    const policy = new GuestPolicy(rules, { instanceId, networkId, projectId }, scope)
    return shields.some((shield) => {
      if (policy.action(shield, row.documents).value !== 'enforce') return false
      const lastAt = Math.max(row.findings[shield]?.lastAt ?? -1, row.unlooked[shield] ?? -1)
      return lastAt >= since
    })
  })
}

/** The rules for which no guest was seen. @throws {ConfigError} when the file is no policy */
export function unmatchedUnder(file: string, seen: readonly SeenRow[]): readonly string[] {
  return unmatchedRules(readPolicyFile(file, true), seen)
}

function scopeOf({ scope, networkId }: SeenRow): Scope | undefined {
  const routerId = scope.startsWith('router/') ? parseRouterId(scope.slice(7)) : undefined
  if (routerId !== undefined) return { kind: 'router', routerId }
  const id = parseNetworkId(networkId)
  return id && { kind: 'network', networkId: id }
}
