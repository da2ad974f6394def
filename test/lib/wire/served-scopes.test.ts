import t from 'tap'
import type { ScopeText } from '../../../lib/identity/scope.ts'
import {
  longestScopesLine,
  mostServedScopes,
  readScopesReceipt,
  readScopesReport,
  scopesPerLine,
  scopesReports,
  scopesSocketBeside,
} from '../../../lib/wire/served-scopes.ts'

t.test('readScopesReport reads each kind of message and drops what it does not know', async (t) => {
  t.strictSame(readScopesReport({ kind: 'begin', workers: 64_111, more: 1 }), {
    kind: 'begin',
    workers: 64_111,
  })
  t.strictSame(readScopesReport({ kind: 'complete', scopes: [] }), { kind: 'complete' })
  for (const kind of ['add', 'remove'] as const) {
    const scopes: ScopeText[] = ['router/1', 'network/2']
    t.strictSame(readScopesReport({ kind, scopes, more: 1 }), { kind, scopes })
  }
})

t.test('readScopesReport gives nothing for what is no message', async (t) => {
  const many = Array.from({ length: scopesPerLine + 1 }, (_, index) => `router/${index}`)
  for (const value of [
    undefined,
    null,
    [],
    'begin',
    {},
    { kind: 'open' },
    { kind: 'begin' },
    { kind: 'begin', workers: -1 },
    { kind: 'begin', workers: 2 ** 32 },
    { kind: 'begin', workers: '0' },
    { kind: 'add' },
    { kind: 'add', scopes: 'router/1' },
    { kind: 'add', scopes: ['*'] },
    { kind: 'add', scopes: ['router/'] },
    { kind: 'add', scopes: ['router/a b'] },
    { kind: 'add', scopes: ['Router/1'] },
    { kind: 'add', scopes: ['router/1', 7] },
    { kind: 'add', scopes: ['router/1', null] },
    { kind: 'add', scopes: many },
    { kind: 'remove', scopes: [`network/${'x'.repeat(256)}`] },
  ]) {
    t.equal(readScopesReport(value), undefined, JSON.stringify(value)?.slice(0, 60))
  }
})

t.test('readScopesReceipt reads a count and nothing else', async (t) => {
  t.strictSame(readScopesReceipt({ kind: 'accepted', scopes: 3 }), { kind: 'accepted', scopes: 3 })
  for (const value of [
    7,
    {},
    { kind: 'accepted' },
    { kind: 'accepted', scopes: mostServedScopes + 1 },
    { kind: 'refused', scopes: 3 },
  ]) {
    t.equal(readScopesReceipt(value), undefined, JSON.stringify(value))
  }
})

t.test('scopesReports cuts a list into lines that the other side takes', async (t) => {
  const longest = 'x'.repeat(250)
  const scopes = Array.from(
    { length: scopesPerLine * 2 + 1 },
    (_, index) => `network/${longest}${index}` as ScopeText,
  )
  const reports = scopesReports('add', scopes)
  t.strictSame(
    reports.flatMap((report) => ('scopes' in report ? report.scopes : [])),
    scopes,
  )
  t.equal(reports.length, 3)
  for (const report of reports) {
    t.ok(Buffer.byteLength(JSON.stringify(report)) <= longestScopesLine)
    t.strictSame(readScopesReport(JSON.parse(JSON.stringify(report))), report)
  }
  t.strictSame(scopesReports('remove', []), [])
})

t.test('scopesSocketBeside names a socket in the same folder', async (t) => {
  t.equal(scopesSocketBeside('/run/overlapd/agent.sock'), '/run/overlapd/agent-scopes.sock')
  t.equal(
    scopesSocketBeside('/var/lib/neutron/metadata_proxy'),
    '/var/lib/neutron/metadata_proxy-scopes.sock',
  )
})
