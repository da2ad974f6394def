/** For which rules of a policy was no guest seen? A misspelt id is among them. */
import type { SeenRow } from '../../lib/shield/seen-row.ts'
import { ruleSubjects, type RuleSubject } from '../../lib/shield/shields.ts'
import type { PolicyRules } from './policy.ts'

/** @returns the names of those rules, as `network 91c0…` */
export function unmatchedRules(
  { rules }: PolicyRules,
  seen: Iterable<Pick<SeenRow, 'instanceId' | 'projectId' | 'networkId' | 'scope'>>,
): readonly string[] {
  const ids: Readonly<Record<RuleSubject, Set<string>>> = {
    instance: new Set(),
    network: new Set(),
    router: new Set(),
    project: new Set(),
  }
  for (const { instanceId, projectId, networkId, scope } of seen) {
    ids.instance.add(instanceId)
    ids.network.add(networkId)
    ids.project.add(projectId)
    if (scope.startsWith('router/')) ids.router.add(scope.slice('router/'.length))
  }
  return ruleSubjects.flatMap((subject) =>
    Array.from(rules[subject])
      .filter(([id]) => !ids[subject].has(id))
      .map(([, { name }]) => name),
  )
}
