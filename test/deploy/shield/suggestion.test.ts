import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { refusedUnder } from '../../../deploy/shield/dry-run.ts'
import { suggestedPolicy, type SuggestedSubject } from '../../../deploy/shield/suggestion.ts'
import { documentClasses, type DocumentClass } from '../../../lib/shield/document-class.ts'
import { seenRow, type SeenRow, type ShieldReport } from '../../../lib/shield/seen-row.ts'
import { shields } from '../../../lib/shield/shields.ts'
import { instanceId, networkId, projectId } from '../../conformance/topology.ts'
import { SeededRandom } from '../../support/random.ts'
import { scratchFolder } from '../../support/scratch-folder.ts'

const day = 86_400_000
const now = Date.UTC(2026, 10, 30)

function row(number: number, documents: DocumentClass, more: Partial<SeenRow> = {}): SeenRow {
  return {
    instanceId: instanceId(number),
    projectId: projectId(number),
    networkId: networkId(number),
    scope: `network/${networkId(number)}`,
    client: 'curl/8',
    documents,
    requests: 1,
    firstAt: now - day,
    lastAt: now - day,
    lastTarget: '/',
    findings: {},
    unlooked: {},
    ...more,
  }
}

function reportOf(seen: readonly SeenRow[], more: Partial<ShieldReport> = {}): ShieldReport {
  return { now, policy: { loadedAt: 0, rules: 0, unmatched: [] }, seen: [...seen], ...more }
}

function suggested(
  t: Test,
  report: ShieldReport,
  by: SuggestedSubject = 'project',
): { readonly text: string; readonly file: string } {
  const text = suggestedPolicy(report, { by, period: 30 * day })
  const file = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(file, text)
  return { text, file }
}

const broken = { reason: 'token_missing', requests: 1, lastAt: now - day } as const

t.test('a suggestion enforces what everything passed, and names what did not', async (t) => {
  const seen = [
    row(1, 'identity', { client: 'Cloud-Init/22.4', findings: { token: broken } }),
    row(1, 'user_data'),
    row(2, 'identity'),
  ]
  const { text } = suggested(t, reportOf(seen))
  t.match(text, `  - project: '${projectId(1)}'\n    forwarded: enforce\n    host: enforce\n`)
  t.match(
    text,
    '    token: { identity: observe, user_data: enforce, password: enforce, other: enforce } # Cloud-Init/22.4\n',
  )
  t.match(
    text,
    `  - project: '${projectId(2)}'\n    forwarded: enforce\n    host: enforce\n    token: enforce\n`,
  )
})

t.test('what was seen before the period counts for nothing', async (t) => {
  const old = { ...broken, lastAt: now - 31 * day }
  const { text } = suggested(t, reportOf([row(1, 'identity', { findings: { token: old } })]))
  t.match(text, '    token: enforce\n')
})

t.test('a suggestion states what it does not know', async (t) => {
  t.match(suggested(t, reportOf([])).text, /^rules: \[\]$/m)
  const forgetful = suggested(t, reportOf([row(1, 'identity')], { forgottenAt: now - day })).text
  t.match(forgetful, /^# Not all of it/m)
  const unlooked = row(1, 'identity', { unlooked: { token: now - day } })
  t.match(suggested(t, reportOf([unlooked])).text, /token: \{ identity: observe/)
})

t.test('a name that a guest gave itself breaks out of no comment', async (t) => {
  const client = "x\n  - project: 'y'\n    token: off\u2028\u0085#"
  const seen = [row(1, 'identity', { client, findings: { token: broken } })]
  const { text, file } = suggested(t, reportOf(seen))
  t.notMatch(text, /^ *- project: 'y'/m)
  t.strictSame(refusedUnder(file, seen, 0), [])
})

t.test('a suggested policy refuses nothing seen, whatever that was', async (t) => {
  const seed = 20_261_201
  t.comment(`seed ${seed}`)
  const random = new SeededRandom(seed)
  for (const by of ['project', 'network', 'instance'] as const) {
    for (let round = 0; round < 30; round += 1) {
      const seen = Array.from({ length: 40 }, () => {
        const findings: SeenRow['findings'] = {}
        const unlooked: SeenRow['unlooked'] = {}
        for (const shield of shields) {
          if (random.chance(20))
            findings[shield] = { ...broken, lastAt: now - random.below(40) * day }
          if (random.chance(5)) unlooked[shield] = now - random.below(40) * day
        }
        return row(1 + random.below(6), random.pick(documentClasses), {
          projectId: projectId(1 + random.below(3)),
          networkId: networkId(1 + random.below(3)),
          findings,
          unlooked,
        })
      })
      t.ok(seen.every((one) => seenRow.safeParse(one).success))
      const { file } = suggested(t, reportOf(seen), by)
      t.strictSame(refusedUnder(file, seen, now - 30 * day), [], `by ${by}`)
    }
  }
})

t.test('refusedUnder() lists what a policy would refuse, low_port as well', async (t) => {
  const file = join(scratchFolder(t), 'shield.yaml')
  writeFileSync(file, `rules: [{ network: ${networkId(1)}, token: enforce, low_port: enforce }]`)
  const tokenless = row(1, 'identity', { findings: { token: broken } })
  const unlooked = row(1, 'other', { unlooked: { low_port: now - day } })
  const seen = [
    tokenless,
    unlooked,
    row(1, 'user_data'),
    row(2, 'identity', { findings: { token: broken } }),
  ]
  t.strictSame(refusedUnder(file, seen, now - 30 * day), [tokenless, unlooked])
  t.strictSame(refusedUnder(file, seen, now), [])
})
