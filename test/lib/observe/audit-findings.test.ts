import t from 'tap'
import {
  auditCodes,
  auditRow,
  certificateFindings,
  isAuditCode,
} from '../../../lib/observe/audit-findings.ts'
import { sourceFiles } from '../../support/source-files.ts'

const codes = Object.keys(auditCodes).filter(isAuditCode)

t.test('each code of an audit says what to do, and somebody finds it', async (t) => {
  const text = sourceFiles(['proxy', 'agent-side', 'lib'])
    .map((file) => file.text)
    .join('\n')
  for (const code of codes) {
    t.match(code, /^[a-z]+(?:_[a-z]+)*$/)
    t.match(auditRow(code).todo, /^[A-Z][^]{10,}[.?]$/)
    t.match(text, `'${code}'`)
  }
  t.notOk(isAuditCode('toString'))
  t.notOk(isAuditCode(1))
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
