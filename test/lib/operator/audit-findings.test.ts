import t from 'tap'
import { certificateFindings } from '../../../lib/operator/audit-findings.ts'
import { findingCodes } from '../../../lib/operator/host-codes.ts'
import { sourceFiles } from '../../support/source-files.ts'

t.test('each code has its effect on guests and the remedy, and a check finds it', async (t) => {
  const text = sourceFiles(['proxy', 'agent-side', 'lib'])
    .map((file) => file.text)
    .join('\n')
  for (const [code, { effect, remedy }] of Object.entries(findingCodes)) {
    t.match(code, /^[a-z0-9]+(?:_[a-z0-9]+)*$/)
    t.match(effect, /^[A-Z][^]{10,}\.$/)
    t.match(remedy, /^[A-Z"][^]{10,}[."]$/)
    // Those of daemons that are down are made of their names.
    const isFound = text.includes(`'${code}'`) || code.endsWith('_down')
    t.ok(isFound, `${code} is found by somebody`)
  }
})

t.test('certificateFindings() warns two weeks ahead', async (t) => {
  const day = 86_400_000
  const now = Date.UTC(2026, 0, 1)
  const found = (expiresAt: number): readonly string[] =>
    certificateFindings('x', { expiresAt }, now).map(({ code }) => code)
  t.strictSame(found(now + 15 * day), [])
  t.strictSame(found(now + 13 * day), ['certificate_ends'])
  t.strictSame(found(now), ['certificate_over'])
})
