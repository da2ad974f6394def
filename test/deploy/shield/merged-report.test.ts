import t from 'tap'
import { mergedReport } from '../../../deploy/shield/merged-report.ts'
import type { SeenRow, ShieldReport } from '../../../lib/shield/seen-row.ts'
import { instanceId, networkId, projectId } from '../../conformance/topology.ts'

function row(more: Partial<SeenRow> = {}): SeenRow {
  return {
    instanceId: instanceId(1),
    projectId: projectId(1),
    networkId: networkId(1),
    scope: `network/${networkId(1)}`,
    client: 'curl/8',
    documents: 'user_data',
    requests: 1,
    firstAt: 10,
    lastAt: 20,
    lastTarget: '/',
    findings: {},
    unlooked: {},
    ...more,
  }
}

function report(more: Partial<ShieldReport> & { unmatched?: string[] } = {}): ShieldReport {
  const { unmatched = [], ...rest } = more
  return { now: 100, policy: { loadedAt: 1, rules: 2, unmatched }, seen: [], ...rest }
}

t.test('mergedReport() adds up what several agents saw of one program, in any order', async (t) => {
  const one = report({
    seen: [
      row({
        findings: { token: { reason: 'token_missing', requests: 1, lastAt: 20 } },
        unlooked: { host: 5 },
      }),
    ],
  })
  const other = report({
    now: 90,
    forgottenAt: 7,
    seen: [
      row({
        requests: 4,
        firstAt: 5,
        lastAt: 30,
        lastTarget: '/later',
        findings: {
          token: { reason: 'token_invalid', requests: 2, lastAt: 30 },
          host: { reason: 'host_not_metadata', requests: 1, lastAt: 6 },
        },
        unlooked: { host: 9 },
      }),
      row({ client: 'another' }),
    ],
  })
  for (const both of [[one, other] as const, [other, one] as const]) {
    const { now, forgottenAt, seen } = mergedReport([...both])
    t.equal(now, 90, 'nothing shows what that agent saw later')
    t.equal(forgottenAt, 7)
    t.equal(seen.length, 2)
    t.strictSame(
      seen.find(({ client }) => client === 'curl/8'),
      row({
        requests: 5,
        firstAt: 5,
        lastAt: 30,
        lastTarget: '/later',
        findings: {
          token: { reason: 'token_invalid', requests: 3, lastAt: 30 },
          host: { reason: 'host_not_metadata', requests: 1, lastAt: 6 },
        },
        unlooked: { host: 9 },
      }),
    )
  }
})

t.test('mergedReport() names a rule for which no agent saw a guest', async (t) => {
  const one = report({ unmatched: ['project a', 'project b'] })
  const merged = mergedReport([one, report({ unmatched: ['project b'] })])
  t.strictSame(merged.policy.unmatched, ['project b'])
  t.strictSame(mergedReport([one]), one)
})
